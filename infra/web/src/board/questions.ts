import type { Question } from "../live/frames";
import { KPIS, KPI_STREAMS, type KpiId } from "./kpis";

export const PERIODS = ["1h", "today", "24h", "7d", "30d"] as const;
export type Period = (typeof PERIODS)[number];

/** About thirty buckets each: what fits into a frame, and what a chart shows well. */
const INTERVALS: Record<Period, string> = { "1h": "5m", today: "hour", "24h": "hour", "7d": "6h", "30d": "day" };

export const FUNNEL = {
  queued: "message_queued",
  sent: "message_sent",
  delivered: "message_delivered",
  read: "message_read",
  clicked: "link_clicked",
  joined: "member_joined",
  converted: "conversion_recorded",
} as const;
export type Step = keyof typeof FUNNEL;
export const STEPS = Object.keys(FUNNEL) as Step[];

/** Steps whose events happen to what the step before counts: a message that is sent was queued. Others are told beside it, but
 * are no part of it: one message brings any number of clicks, and people join without one. */
const PART_OF_BEFORE: readonly Step[] = ["sent", "delivered", "read"];

/** How much of the step before each step is, in percent; nothing where it is no part of that, or that is none. */
export function sharesOf(totals: (number | null)[]): (number | null)[] {
  return STEPS.map((step, index) => {
    const [before, now] = [totals[index - 1], totals[index]];
    return PART_OF_BEFORE.includes(step) && before && now != null ? (100 * now) / before : null;
  });
}

export const TROUBLES = ["sender_flood_wait", "sender_peer_flood", "sender_restricted", "sender_banned", "sender_session_lost"] as const;
export type Trouble = (typeof TROUBLES)[number];

export const SHOWN_ROWS = 8;

/** What the board asks, each by a stream of its own. */
export type Topic = "campaigns" | "results" | "responses" | "funnel" | "groups" | "senders";

export interface Scope {
  /** Empty: all. */
  campaign: string;
  period: Period;
  timezone: string;
}

export function questionsOf({ campaign, period, timezone }: Scope): Record<Topic, object> {
  const filter = campaign && { filter: campaignIs(campaign) };
  const totals = { period, timezone, interval: "none" };
  const kpis = (ids: readonly KpiId[]) => ({
    period,
    timezone,
    interval: INTERVALS[period],
    compare: "previous_period",
    ...filter,
    queries: ids.map((id) => KPIS[id].query),
  });
  return {
    campaigns: { ...totals, period: "30d", groupBy: ["campaignId"], limit: 100, queries: [{ formula: "message_sent" }] },
    results: kpis(KPI_STREAMS.results),
    responses: kpis(KPI_STREAMS.responses),
    funnel: { ...totals, ...filter, queries: STEPS.map((step) => ({ formula: FUNNEL[step], name: step })) },
    groups: {
      ...totals,
      ...filter,
      groupBy: ["groupId"],
      // More than are shown: the groups with most messages need not be among those with the best rates.
      limit: 50,
      queries: [{ formula: "message_sent" }, { metric: "delivery_rate" }, { formula: "member_joined" }],
    },
    // Of all campaigns: a sender is not in trouble within one of them.
    senders: {
      ...totals,
      groupBy: ["senderId"],
      limit: 30,
      queries: [
        { formula: SCORE, name: "score" },
        { formula: "sum(sender_flood_wait.waitS)", name: "wait" },
        ...TROUBLES.map((name) => ({ formula: `"${name}"`, name })),
      ],
    },
  };
}

/** Worst first: a sender that is banned is lost, one that must wait is not. */
const SCORE =
  '"sender_banned" * 100 + "sender_restricted" * 20 + "sender_session_lost" * 20 + "sender_peer_flood" * 10 + "sender_flood_wait"';

export const EVENTS_STREAM = "analytics";

export function eventsOf(campaign: string): Question {
  const properties = ["campaignId", "groupId", "senderId", "text", "errorClass", "waitS"];
  return {
    stream: EVENTS_STREAM,
    ...(campaign && { filter: campaignIs(campaign) }),
    fields: ["eventId", "eventName", "timestamp", ...properties.map((name) => `properties.${name}`)],
  };
}

export const campaignIs = (campaign: string): string => propertyIs("campaignId", campaign);

/** A filter. `null`: events without the property. */
export function propertyIs(name: string, value: string | null): string {
  return value === null ? `${name} = null` : `${name} = ${quoted(value)}`;
}

export function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, "\\$&")}"`;
}
