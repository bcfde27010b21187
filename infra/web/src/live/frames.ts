import type { Answer, SeriesChange } from "../board/answers";

/** A message of the server. */
export type Frame =
  | { type: "ready"; connectionId: string; accountId: string; role: string; tokenExpiresAt: string; streams: string[] }
  /** With the `seq` of each stream's latest frame. */
  | { type: "pong"; at: string; streams: Record<string, number> }
  | { type: "token_expiring"; tokenExpiresAt: string }
  | { type: "authenticated"; tokenExpiresAt: string }
  | { type: "going_away"; reason: string }
  | ErrorFrame
  | StreamFrame;

/** Concerns one stream if it names it, else the connection. */
export interface ErrorFrame {
  type: "error";
  code: string;
  detail: string;
  stream?: string;
}

export type StreamFrame =
  | { type: "subscribed" | "unsubscribed" | "resync"; stream: string }
  | { type: "lagged"; stream: string; dropped: number }
  | SnapshotFrame
  | DeltaFrame
  | EventFrame;

export interface SnapshotFrame {
  type: "snapshot";
  stream: string;
  seq: number;
  asOf: string;
  /** Of a query. */
  data?: { results: Answer[] };
  /** Of events. */
  totals?: Totals;
}

export interface DeltaFrame {
  type: "delta";
  stream: string;
  seq: number;
  asOf: string;
  results: { series: SeriesChange[] }[];
}

export interface EventFrame {
  type: "event";
  stream: string;
  seq: number;
  asOf: string;
  events: LiveEvent[];
  skipped: number;
  totals: Totals;
}

export interface Totals {
  since: string;
  events: number;
  byName: Record<string, number>;
}

export interface LiveEvent {
  eventId: string;
  eventName: string;
  timestamp: string;
  userId?: string;
  properties?: Record<string, unknown>;
}

/** What is asked of a stream; the rest of a subscribe message. */
export interface Question {
  stream: string;
  [parameter: string]: unknown;
}
