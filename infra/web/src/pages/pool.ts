import type { LiveEvent } from "../live/frames";
import { searchAll } from "./ask";

export const STATES = ["active", "limited", "frozen", "banned", "logged_out"] as const;
export type State = (typeof STATES)[number];

/** What a sending account can do now. Times are epoch milliseconds. */
export interface Sender {
  id: string;
  state: State;
  /** How long it is limited, if that is known. */
  until: number | null;
  /** What its latest sample says, if it has one. */
  sampledAt: number | null;
  sent: number | null;
  limit: number | null;
  /** Messages that it may send today. */
  left: number | null;
  proxy: string;
  country: string;
}

/** A sample says what a sender can do, and later events change that. */
interface Known {
  state: State | null;
  until: number | null;
  isWait: boolean;
}

export const SAMPLES = ["sender_stats_sampled"];
export const WAITS = ["sender_flood_wait"];
export const INCIDENTS = ["sender_restricted", "sender_banned", "sender_session_lost", "sender_recovered"];

/** The senders that have a sample, and those that are out of action without one. Events may be in any order. */
export function poolOf(events: LiveEvent[], now: number): Sender[] {
  const bySender = new Map<string, LiveEvent[]>();
  for (const event of events) {
    const id = event.properties?.["senderId"];
    if (typeof id !== "string") continue;
    const known = bySender.get(id);
    if (known) known.push(event);
    else bySender.set(id, [event]);
  }
  return [...bySender].flatMap(([id, of]) => senderOf(id, of, now) ?? []);
}

function senderOf(id: string, events: LiveEvent[], now: number): Sender | null {
  let known: Known = { state: null, until: null, isWait: false };
  let sample: LiveEvent | undefined;
  for (const event of [...events].sort((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp))) {
    if (SAMPLES.includes(event.eventName)) sample = event;
    known = after(known, event);
  }
  const isOver = known.until !== null && known.until <= now;
  const state = isOver && known.state === "limited" ? "active" : known.state;
  // One that has only waited, and is not sampled, need not be in the pool any more.
  if (!state || (!sample && state === "active")) return null;
  const { sentToday, dailyLimit, proxyId, phoneCountry } = sample?.properties ?? {};
  const [sent, limit] = [number(sentToday), number(dailyLimit)];
  return {
    id,
    state,
    until: isOver || state === "active" ? null : known.until,
    sampledAt: sample ? Date.parse(sample.timestamp) : null,
    sent,
    limit,
    left: sent === null || limit === null ? null : Math.max(limit - sent, 0),
    proxy: text(proxyId),
    country: text(phoneCountry),
  };
}

function after(before: Known, { eventName, timestamp, properties = {} }: LiveEvent): Known {
  switch (eventName) {
    case "sender_stats_sampled": {
      const state = STATES.find((state) => state === properties["state"]) ?? "active";
      // A sample knows that it is limited, but not how long.
      const isSame = state === "limited" || state === "frozen";
      return { state, until: isSame ? before.until : null, isWait: isSame && before.isWait };
    }
    case "sender_restricted":
      return { state: properties["kind"] === "frozen" ? "frozen" : "limited", until: time(properties["until"]), isWait: false };
    case "sender_flood_wait": {
      const waitS = number(properties["waitS"]);
      // Slow mode and stories hold up one chat or one kind of post, not the sender.
      const isOfSender = properties["kind"] !== "slow_mode" && properties["kind"] !== "story";
      const isFree = before.state === null || before.state === "active" || before.isWait;
      if (waitS === null || !isOfSender || !isFree) return before;
      return { state: "limited", until: Math.max(Date.parse(timestamp) + waitS * 1000, before.until ?? 0), isWait: true };
    }
    case "sender_banned":
      return { state: "banned", until: null, isWait: false };
    case "sender_session_lost":
      return { state: "logged_out", until: null, isWait: false };
    case "sender_recovered":
      return { state: "active", until: null, isWait: false };
    default:
      return before;
  }
}

/** Those in trouble first, then those with the least messages left. */
export function byTrouble(a: Sender, b: Sender): number {
  const rank = ({ state }: Sender) => (state === "active" ? STATES.length : STATES.indexOf(state));
  return rank(a) - rank(b) || (a.left ?? Infinity) - (b.left ?? Infinity) || a.id.localeCompare(b.id);
}

/** Senders that share a proxy or a country. Bans often come by these. */
export interface Share {
  name: string;
  all: Sender[];
  active: number;
  left: number;
}

export function sharesBy(senders: Sender[], of: "proxy" | "country"): Share[] {
  const shares = new Map<string, Sender[]>();
  for (const sender of senders) shares.set(sender[of], [...(shares.get(sender[of]) ?? []), sender]);
  return [...shares]
    .map(([name, all]) => ({ name, all, active: all.filter(({ state }) => state === "active").length, left: leftOf(all) }))
    .sort((a, b) => Number(b.name !== "") - Number(a.name !== "") || b.all.length - b.active - (a.all.length - a.active) || b.all.length - a.all.length);
}

/** Messages that those can send today who can send. */
export function leftOf(senders: Sender[]): number {
  return senders.reduce((sum, { state, left }) => sum + (state === "active" ? (left ?? 0) : 0), 0);
}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** RFC 3339, epoch milliseconds, or Telegram's own seconds. */
function time(value: unknown): number | null {
  const at = typeof value === "string" ? Date.parse(value) : value;
  if (typeof at !== "number" || !Number.isFinite(at) || at <= 0) return null;
  return at < 100_000_000_000 ? at * 1000 : at;
}

const SAMPLED_WITHIN_MS = 3 * 3_600_000;
const HAPPENED_WITHIN_MS = 30 * 86_400_000;

export interface Pool {
  now: number;
  /** From when events count. */
  from: string;
  senders: Sender[];
}

/** The pool is that of now and of all campaigns, whatever is chosen. */
export async function askPool(abort: AbortSignal): Promise<Pool> {
  const now = Date.now();
  const [sampled, happened] = [SAMPLED_WITHIN_MS, HAPPENED_WITHIN_MS].map((before) => new Date(now - before).toISOString());
  const names = (events: string[], from = "") => ({ eventName: events.join(","), from });
  // Waits are many, and must not crowd out a ban.
  const found = await Promise.all([
    searchAll(names(SAMPLES, sampled), 5, abort),
    searchAll(names(INCIDENTS, happened), 3, abort),
    searchAll(names(WAITS, happened), 1, abort),
  ]);
  return { now, from: happened ?? "", senders: poolOf(found.flat(), now) };
}
