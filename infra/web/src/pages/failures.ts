import type { Scope } from "../board/questions";
import { query, totalsOf } from "./ask";
import { byLargest, counted, hasOthers, queriesOf, rowsOf } from "./rows";

const COUNTS = { failures: counted("message_failed"), final: counted("message_failed{final}") };
const ALL = { failures: counted("message_failed"), final: counted("message_failed{final}"), sent: counted("message_sent") };

export interface Failure {
  errorClass: string | null;
  fault: string | null;
  failures: number | null;
  final: number | null;
}

export interface Failures {
  from: string;
  to: string;
  all: Record<keyof typeof ALL, number | null>;
  kinds: Failure[];
  hasMore: boolean;
}

export async function askFailures(scope: Scope, abort: AbortSignal): Promise<Failures> {
  const [kinds, all] = await Promise.all([
    query(totalsOf(scope, { groupBy: ["errorClass", "fault"], limit: 100, queries: queriesOf(COUNTS) }), abort),
    query(totalsOf(scope, { queries: queriesOf(ALL) }), abort),
  ]);
  const { from = "", to = "" } = all[0] ?? {};
  const total = (index: number) => all[index]?.series[0]?.total ?? null;
  const rows = rowsOf(COUNTS, kinds).map(({ key, cells }): Failure => ({
    errorClass: key["errorClass"] ?? null,
    fault: key["fault"] ?? null,
    failures: cells.failures.total,
    final: cells.final.total,
  }));
  rows.sort((a, b) => byLargest(a.failures, b.failures));
  const sums = { failures: total(0), final: total(1), sent: total(2) };
  return { from, to, all: sums, kinds: rows.filter(({ failures }) => failures !== 0), hasMore: hasOthers(kinds[0]) };
}

/** What to do about a failure: who is at fault may decide. Nothing for a class that is not known. */
export function adviceFor(advice: ReadonlyMap<string, string>, { errorClass, fault }: Pick<Failure, "errorClass" | "fault">): string | undefined {
  return advice.get(`${errorClass}/${fault}`) ?? advice.get(errorClass ?? "");
}
