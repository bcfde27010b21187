import type { ChannelMeasure } from "../../pages/channels";
import type { Rate, Sum } from "../../pages/money";
import type { Page } from "../../pages/names";
import type { PlacementMeasure } from "../../pages/placements";
import type { State } from "../../pages/pool";
import type { RunState } from "../../pages/progress";
import type { Names, Say } from "../texts";

/** What the pages beside the board say. */
export interface PageTexts {
  label: string;
  names: Record<Page, string>;
  /** Beside a panel that does not go by the period, or by the campaign. */
  anyPeriod: string;
  allTime: string;
  anyCampaign: string;
  lastDays: Say;
  stale: Say;
  /** Of `count` rows, what a table shows. */
  most: Say;
  showAll: Say;
  total: string;
  noCurrency: string;
  severalCurrencies: string;
  unnamed: string;
  /** What to send so that there is something to see. */
  send: Say;
  events: Record<"open" | "close" | "empty" | "older" | "loading", string> & { of: Say<[string, string]> };
  money: Record<"heading" | "noMargin" | "empty" | Exclude<Sum, "margins"> | Rate, string>;
  budget: Record<"heading" | "campaign" | "spent" | "budget" | "used" | "none" | "over" | "empty", string>;
  progress: Record<"heading" | "campaign" | "state" | "done" | "failed" | "perMinute" | "finish" | "still" | "empty", string> & {
    states: Record<RunState, string>;
    of: Say<[string, string]>;
    since: Say;
  };
  pool: Record<"heading" | "bySender" | "byProxy" | "byCountry" | "sender" | "state" | "until" | "left" | "leftNow" | "leftNote" | "sent" | "proxy" | "country", string> &
    Record<"all" | "out" | "sampled" | "empty" | "unknown", string> & { states: Record<State, string>; of: Say<[string, string]> };
  failures: Record<"heading" | "failures" | "final" | "attempts" | "errorClass" | "fault" | "share" | "toDo" | "empty", string> & {
    faults: Names;
    /** By class, or by class and fault. */
    advice: Names;
  };
  placements: Record<"heading" | "placement" | "empty" | PlacementMeasure, string>;
  channels: Record<"heading" | "channel" | "usual" | "empty" | ChannelMeasure, string> & { posts: Say<[string, string]> };
  staying: Record<"byLink" | "byCampaign" | "link" | "campaign" | "joined" | "early" | "none" | "empty", string> & {
    after: Record<1 | 7 | 30, string>;
    of: Say<[string, string]>;
  };
  answers: Record<"heading" | "replied" | "waiting" | "waitingNote" | "answered" | "median" | "positive" | "positiveRate" | "empty", string> &
    Record<"stops" | "stopped" | "written" | "obeyed" | "noStops", string> & { of: Say<[string, string]> };
}
