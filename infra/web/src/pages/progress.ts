import { totalsBy } from "../board/answers";
import { type Scope, campaignIs, quoted } from "../board/questions";
import type { LiveEvent } from "../live/frames";
import { filtered, query, searchAll } from "./ask";
import { counted, queriesOf, rowsOf, taken } from "./rows";

export type RunState = "running" | "paused" | "completed";

/** A campaign from its start, over its pauses, to its end. Times are epoch milliseconds. */
export interface Run {
  campaign: string;
  name: string;
  state: RunState;
  /** Why it is paused. */
  reason: string;
  startedAt: number;
  /** When it came into this state. */
  since: number;
  /** When the run before ended. */
  endedBefore: number | null;
  targets: number | null;
}

const STATES = new Map<string, RunState>([
  ["campaign_started", "running"],
  ["campaign_paused", "paused"],
  ["campaign_completed", "completed"],
]);
export const CAMPAIGN_EVENTS = [...STATES.keys()];

/** The latest run of each campaign, out of their events in any order. */
export function runsOf(events: LiveEvent[]): Run[] {
  const runs = new Map<string, Run>();
  const inOrder = events.map((event) => ({ event, at: Date.parse(event.timestamp) })).sort((a, b) => a.at - b.at);
  for (const { event, at } of inOrder) {
    const { campaignId: campaign, campaignName, reason, targets } = event.properties ?? {};
    const state = STATES.get(event.eventName);
    if (typeof campaign !== "string" || !state) continue;
    const before = runs.get(campaign);
    const isNew = !before || (before.state === "completed" && state === "running");
    runs.set(campaign, {
      campaign,
      name: typeof campaignName === "string" ? campaignName : (before?.name ?? ""),
      state,
      reason: state === "paused" && typeof reason === "string" ? reason : "",
      startedAt: isNew ? at : before.startedAt,
      since: at,
      endedBefore: isNew ? (before?.since ?? null) : before.endedBefore,
      targets: typeof targets === "number" ? targets : isNew ? null : before.targets,
    });
  }
  return [...runs.values()];
}

/** Since when its messages count: from midnight on, or from its start if that lies before, but never those of the run before. */
export function countsFrom({ startedAt, endedBefore }: Pick<Run, "startedAt" | "endedBefore">, midnight: number): number {
  return startedAt < midnight ? startedAt : Math.max(midnight, endedBefore ?? midnight);
}

const SPEED_MS = 10 * 60_000;
const MINUTE_MS = 60_000;

/** How many a minute, of what was counted in the last ten minutes. A run of fewer minutes has not had ten. */
export function speedOf(count: number, startedAt: number, now: number): number {
  const minutes = Math.min(Math.max(now - startedAt, MINUTE_MS), SPEED_MS) / MINUTE_MS;
  return count / minutes;
}

/** When the targets are done at this speed; nothing if that cannot be known. */
export function finishAt(done: number | null, targets: number | null, perMinute: number, now: number): number | null {
  if (done === null || targets === null || perMinute <= 0) return null;
  return now + (Math.max(targets - done, 0) / perMinute) * MINUTE_MS;
}

export interface Progress extends Run {
  from: number;
  done: number | null;
  failed: number | null;
  /** Sent in a minute, lately. */
  perMinute: number | null;
  finish: number | null;
}

export interface Campaigns {
  now: number;
  progress: Progress[];
}

const FAR_BACK_MS = 30 * 86_400_000;
const SHOWN_COMPLETED_MS = 7 * 86_400_000;
/** Those that began on different days are counted one by one. */
const MOST_RUNS = 20;
const PAGES = 3;

const DONE = { sent: counted("message_sent"), failed: counted("message_failed{final}") };
const TARGETS = { targets: taken("last(campaign_started.targets by campaignId)") };
const ORDER: RunState[] = ["running", "paused", "completed"];

type Done = Record<keyof typeof DONE, number | null>;
type Counts = Map<string, Done>;
const NONE: Done = { sent: 0, failed: 0 };

export async function askCampaigns(scope: Scope, abort: AbortSignal): Promise<Campaigns> {
  const now = Date.now();
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const events = { eventName: CAMPAIGN_EVENTS.join(","), from: new Date(now - FAR_BACK_MS).toISOString() };
  const found = await searchAll({ ...events, ...filtered(scope.campaign && campaignIs(scope.campaign)) }, PAGES, abort);
  const runs = shownOf(runsOf(found), now);
  if (runs.length === 0) return { now, progress: [] };

  const grouped = { timezone: scope.timezone, interval: "none", groupBy: ["campaignId"], limit: 100 };
  const countSince = async (from: number, of: Run[]): Promise<Counts> => {
    const range = { from: new Date(from).toISOString(), to: new Date(Math.max(now, from + 1)).toISOString() };
    const answers = await query({ ...grouped, ...range, ...filtered(areOf(of)), queries: queriesOf(DONE) }, abort);
    const numbers = rowsOf(DONE, answers);
    return new Map(numbers.map(({ key, cells }) => [key["campaignId"] ?? "", { sent: cells.sent.total, failed: cells.failed.total }]));
  };
  const starts = new Set(runs.map((run) => countsFrom(run, midnight)));
  const [targets, latest, ...counts] = await Promise.all([
    query({ ...grouped, period: "30d", ...filtered(areOf(runs)), queries: queriesOf(TARGETS) }, abort),
    countSince(now - SPEED_MS, runs),
    ...[...starts].map((from) => countSince(from, runs.filter((run) => countsFrom(run, midnight) === from))),
  ]);
  const known = totalsBy(targets[0], "campaignId");
  const progress = runs.map((run): Progress => {
    const from = countsFrom(run, midnight);
    const total = counts[[...starts].indexOf(from)]?.get(run.campaign) ?? NONE;
    const lately = latest.get(run.campaign) ?? NONE;
    return progressOf({ ...run, targets: known.get(run.campaign) ?? run.targets, from }, total, lately, now);
  });
  return { now, progress };
}

function shownOf(runs: Run[], now: number): Run[] {
  return runs
    .filter(({ state, since }) => state !== "completed" || since > now - SHOWN_COMPLETED_MS)
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.since - a.since)
    .slice(0, MOST_RUNS);
}

/** A message that is given up is done as well. */
function progressOf(run: Run & { from: number }, total: Done, lately: Done, now: number): Progress {
  const add = ({ sent, failed }: Done) => (sent === null || failed === null ? null : sent + failed);
  const done = add(total);
  const isRunning = run.state === "running";
  const speed = speedOf(add(lately) ?? 0, run.startedAt, now);
  return {
    ...run,
    done,
    failed: total.failed,
    perMinute: isRunning && lately.sent !== null ? speedOf(lately.sent, run.startedAt, now) : null,
    finish: isRunning ? finishAt(done, run.targets, speed, now) : null,
  };
}

function areOf(runs: Run[]): string {
  return `campaignId in (${runs.map(({ campaign }) => quoted(campaign)).join(", ")})`;
}
