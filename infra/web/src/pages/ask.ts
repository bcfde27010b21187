import type { Answer, Key } from "../board/answers";
import { type Scope, campaignIs } from "../board/questions";
import type { LiveEvent } from "../live/frames";
import { authorization } from "../session/session";

/** Why the API does not answer. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
  ) {
    super(detail);
  }
}

/** What people do, as a funnel or retention answers it. */
export interface PeopleAnswer {
  from: string;
  to: string;
  series: PeopleSeries[];
}

export interface PeopleSeries {
  key?: Key;
  other?: boolean;
  steps?: FunnelStep[];
  people?: number;
  periods?: { period: number; of: number; people: number; share: number | null }[];
}

export interface FunnelStep {
  event: string;
  people: number;
  medianSeconds?: number | null;
}

export interface Found {
  events: LiveEvent[];
  nextCursor: string | null;
  total?: number;
}

/** A question about totals of the period, of the campaign if one is chosen. `more` may set another period. */
export function totalsOf({ campaign, period, timezone }: Scope, more: Record<string, unknown>): object {
  return { period, timezone, interval: "none", ...filtered(campaign && campaignIs(campaign)), ...more };
}

/** The parameter `filter`, if any condition is there. */
export function filtered(...conditions: string[]): { filter?: string } {
  const filter = conditions.filter(Boolean).join(" and ");
  return filter ? { filter } : {};
}

export async function query(question: object, abort: AbortSignal): Promise<Answer[]> {
  return (await post<Answer>(question, abort)).results;
}

export async function askPeople(question: object, abort: AbortSignal): Promise<PeopleAnswer> {
  const { results } = await post<PeopleAnswer>(question, abort);
  return results[0] ?? { from: "", to: "", series: [] };
}

export function search(parameters: Record<string, string>, abort: AbortSignal): Promise<Found> {
  return call<Found>(`api/events/search?${new URLSearchParams(parameters)}`, { signal: abort });
}

const LARGEST_PAGE = "1000";

/** The newest events, of so many pages at most. */
export async function searchAll(parameters: Record<string, string>, pages: number, abort: AbortSignal): Promise<LiveEvent[]> {
  const events: LiveEvent[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < pages; page++) {
    const found: Found = await search({ ...parameters, limit: LARGEST_PAGE, ...(cursor && { cursor }) }, abort);
    events.push(...found.events);
    cursor = found.nextCursor;
    if (!cursor) break;
  }
  return events;
}

function post<Result>(question: object, abort: AbortSignal): Promise<{ results: Result[] }> {
  return call("api/query", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(question),
    signal: abort,
  });
}

async function call<Reply>(url: string, request: RequestInit): Promise<Reply> {
  const response = await fetch(url, { ...request, headers: { ...request.headers, ...authorization() } });
  if (response.ok) return (await response.json()) as Reply;
  const problem = (await response.json().catch(() => ({}))) as { code?: string; detail?: string; title?: string; message?: string };
  const detail = problem.detail ?? problem.title ?? problem.message ?? String(response.status);
  throw new Refused(response.status, problem.code ?? String(response.status), detail);
}
