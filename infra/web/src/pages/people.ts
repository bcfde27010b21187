import { type Scope, campaignIs } from "../board/questions";
import { type FunnelStep, type PeopleAnswer, type PeopleSeries, askPeople, query, totalsOf } from "./ask";
import { type Cell, cellsOf, counted, metric, queriesOf } from "./rows";

export const STAYED_DAYS = [1, 7, 30] as const;
export type StayedBy = "inviteLinkId" | "campaignId";

export interface Stayed {
  /** The link or campaign; `null` of those who came by none. */
  name: string | null;
  people: number;
  /** By the days: of how many it can be said, and how many of them stayed. */
  periods: { days: number; of: number; people: number; share: number | null }[];
}

export interface Staying {
  from: string;
  to: string;
  rows: Stayed[];
  hasMore: boolean;
}

/** Of those who joined in the last 90 days: who joined today says nothing yet. */
export async function askStaying(by: StayedBy, scope: Scope, abort: AbortSignal): Promise<Staying> {
  // The condition is of the join: who leaves, leaves the channel and not the campaign.
  const first = withCondition("member_joined", scope.campaign && campaignIs(scope.campaign));
  const retention = { first, leave: "member_left", by: "memberHash", periods: STAYED_DAYS };
  const question = { period: "90d", interval: "none", timezone: scope.timezone, groupBy: by, limit: 50, retention };
  const answer = await askPeople(question, abort);
  return { from: answer.from, to: answer.to, rows: stayedOf(answer, by), hasMore: answer.series.some(({ other }) => other) };
}

/** Most people first; those without a link or campaign last. */
export function stayedOf(answer: PeopleAnswer, by: StayedBy): Stayed[] {
  const told = answer.series.filter(({ other, people }) => !other && people);
  const rows = told.map(({ key, people = 0, periods = [] }: PeopleSeries): Stayed => ({
    name: key?.[by] ?? null,
    people,
    periods: periods.map(({ period: days, of, people, share }) => ({ days, of, people, share: of > 0 ? share : null })),
  }));
  return rows.sort((a, b) => Number(a.name === null) - Number(b.name === null) || b.people - a.people);
}

const REPLIES = {
  replies: counted("reply_received"),
  positive: counted("reply_received{sentiment = positive}"),
  rated: counted("count(reply_received.sentiment)"),
  rate: metric("positive_reply_rate"),
};

export interface Answers {
  from: string;
  to: string;
  replies: Record<keyof typeof REPLIES, Cell>;
  /** People who replied, and those of them who were written to afterwards. */
  replied: Two;
  /** People who asked to hear no more, and those who were written to all the same. */
  stopped: Two;
}

export interface Two {
  first: number;
  then: number;
  /** From the first to what came then, if the answer says. */
  medianSeconds: number | null;
}

export async function askAnswers(scope: Scope, abort: AbortSignal): Promise<Answers> {
  const campaign = scope.campaign && campaignIs(scope.campaign);
  const writtenAfter = (first: string) => {
    // An answer is one whatever campaign it is sent for.
    const funnel = { steps: [first, "message_sent"], by: "userId", within: "30d" };
    return askPeople({ period: scope.period, timezone: scope.timezone, funnel }, abort);
  };
  const [answers, replied, stopped] = await Promise.all([
    query(totalsOf(scope, { queries: queriesOf(REPLIES) }), abort),
    writtenAfter(withCondition("reply_received", campaign)),
    writtenAfter(withCondition("reply_received", "intent = stop", campaign)),
  ]);
  return { from: replied.from, to: replied.to, replies: cellsOf(REPLIES, answers), replied: twoOf(replied), stopped: twoOf(stopped) };
}

export function twoOf(answer: PeopleAnswer): Two {
  const [first, then]: (FunnelStep | undefined)[] = answer.series[0]?.steps ?? [];
  return { first: first?.people ?? 0, then: then?.people ?? 0, medianSeconds: then?.medianSeconds ?? null };
}

/** An event as formulas write it. */
function withCondition(event: string, ...conditions: string[]): string {
  const all = conditions.filter(Boolean).join(" and ");
  return all ? `${event}{${all}}` : event;
}
