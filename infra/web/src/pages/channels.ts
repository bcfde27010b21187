import type { Answer } from "../board/answers";
import { type Scope, propertyIs } from "../board/questions";
import type { LiveEvent } from "../live/frames";
import { filtered, query, search, totalsOf } from "./ask";
import { type Cell, byLargest, groupsOf, hasOthers, metric, queriesOf, rowsOf, taken } from "./rows";

/** As the built-in metrics have it: a forwarded copy shows the views of the original. */
export const viewsWithin = (hours: number): string => `ageMinutes <= ${hours * 60} and not isForwardedCopy`;
const meanViews = (hours: number) => taken(`avg(last(post_stats_sampled.views{${viewsWithin(hours)}}))`);

const MEASURES = {
  views1: meanViews(1),
  views24: meanViews(24),
  views72: meanViews(72),
  err24: metric("err24"),
  // Groups have no views.
  members: taken("last(group_stats_sampled.members{not (kind in (group, supergroup))})"),
};
const POSTS = { views: taken(`last(post_stats_sampled.views{${viewsWithin(24)}})`) };

export type ChannelMeasure = keyof typeof MEASURES;

export interface Channel {
  id: string;
  name: string;
  cells: Record<ChannelMeasure, Cell>;
  /** Of the views that its posts of the last 30 days had within a day. */
  usual: Usual | null;
}

export interface Usual {
  median: number;
  posts: number;
}

export interface Channels {
  from: string;
  to: string;
  channels: Channel[];
  hasMore: boolean;
}

const NAMED_WITHIN_MS = 7 * 86_400_000;
/** Each is a question of its own, where one answer does not hold the posts of all. */
const MOST_ASKED_ALONE = 12;

/** Of all campaigns: samples are of a channel, whoever posts there. */
export async function askChannels(chosen: Scope, abort: AbortSignal): Promise<Channels> {
  const scope = { ...chosen, campaign: "" };
  const named = { eventName: "group_stats_sampled", from: new Date(Date.now() - NAMED_WITHIN_MS).toISOString(), filter: "groupName exists", limit: "500" };
  const [answers, posts, sampled] = await Promise.all([
    query(totalsOf(scope, { groupBy: ["groupId"], limit: 100, queries: queriesOf(MEASURES) }), abort),
    query(totalsOf(scope, { period: "30d", groupBy: ["groupId", "postId"], limit: 100, queries: queriesOf(POSTS) }), abort),
    search(named, abort),
  ]);
  const { from = "", to = "" } = answers[0] ?? {};
  const names = namesOf(sampled.events);
  const channels = rowsOf(MEASURES, answers).flatMap(({ key, cells }): Channel[] => {
    const id = key["groupId"];
    return id == null ? [] : [{ id, name: names.get(id) ?? "", cells, usual: null }];
  });
  channels.sort((a, b) => byLargest(a.cells.views24.total, b.cells.views24.total) || byLargest(a.cells.members.total, b.cells.members.total));
  const usual = hasOthers(posts[0]) ? await askAlone(channels, scope, abort) : usualOf(posts[0]);
  const hasMore = answers.some(hasOthers);
  return { from, to, channels: channels.map((channel) => ({ ...channel, usual: usual.get(channel.id) ?? null })), hasMore };
}

/** The posts with most views alone would make a median that is too high. */
async function askAlone(channels: Channel[], scope: Scope, abort: AbortSignal): Promise<Map<string, Usual>> {
  const asked = channels.filter(({ cells }) => cells.views24.total !== null).slice(0, MOST_ASKED_ALONE);
  const found = asked.map(async ({ id }): Promise<[string, Usual][]> => {
    const question = { period: "30d", groupBy: ["groupId", "postId"], limit: 100, ...filtered(propertyIs("groupId", id)) };
    const [posts] = await query(totalsOf(scope, { ...question, queries: queriesOf(POSTS) }), abort);
    return hasOthers(posts) ? [] : [...usualOf(posts)];
  });
  return new Map((await Promise.all(found)).flat());
}

export function usualOf(posts: Answer | undefined): Map<string, Usual> {
  const views = new Map<string, number[]>();
  for (const { key, total } of groupsOf(posts)) {
    const id = key?.["groupId"];
    if (id != null && key?.["postId"] != null && total !== null) views.set(id, [...(views.get(id) ?? []), total]);
  }
  return new Map([...views].map(([id, of]) => [id, { median: medianOf(of) ?? 0, posts: of.length }]));
}

export function medianOf(values: number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

/** How far a number is from what is usual, as a fraction of that. */
export function againstUsual(latest: number | null, usual: Usual | null): number | null {
  return latest === null || !usual || usual.median === 0 ? null : latest / usual.median - 1;
}

/** The latest name of each group. The newest events come first. */
function namesOf(events: LiveEvent[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const { properties = {} } of events) {
    const { groupId, groupName } = properties;
    if (typeof groupId === "string" && typeof groupName === "string" && !names.has(groupId)) names.set(groupId, groupName);
  }
  return names;
}
