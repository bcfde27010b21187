import { type Scope, campaignIs } from "../board/questions";
import { filtered, query, totalsOf } from "./ask";
import { type Cell, type Row, byLargest, counted, groupsOf, hasOthers, metric, queriesOf, rowsOf, taken } from "./rows";

/** A placement is either of a campaign or stands for itself, so its own cost is asked for, not that of campaigns. */
const MEASURES = {
  price: counted("sum(cost_recorded.amount{kind = placement})"),
  views: taken("last(post_stats_sampled.views{ageMinutes <= 1440})"),
  cpm: metric("cpm"),
  clicks: counted("link_clicked{not botSuspected}"),
  joins: counted("member_joined"),
  gone1: counted("member_left{daysSinceJoin < 1}"),
  gone7: counted("member_left{daysSinceJoin < 7}"),
  perStayed: taken("sum(cost_recorded.amount) / (member_joined - member_left{daysSinceJoin < 1})"),
};
const COSTS = { cost: counted("sum(cost_recorded.amount)") };

export type PlacementMeasure = keyof typeof MEASURES;

export interface Placement {
  id: string;
  cells: Record<PlacementMeasure, Cell>;
  /** What its amounts are in. More than one: they have no sum. */
  currencies: (string | null)[];
}

export interface Placements {
  from: string;
  to: string;
  placements: Placement[];
  hasMore: boolean;
}

export const IS_PLACEMENT = "placementId exists";

export async function askPlacements(scope: Scope, abort: AbortSignal): Promise<Placements> {
  const filter = filtered(scope.campaign && campaignIs(scope.campaign), IS_PLACEMENT);
  const by = (...groupBy: string[]) => ({ ...filter, groupBy, limit: 100 });
  const [answers, costs] = await Promise.all([
    query(totalsOf(scope, { ...by("placementId"), queries: queriesOf(MEASURES) }), abort),
    query(totalsOf(scope, { ...by("placementId", "currency"), queries: queriesOf(COSTS) }), abort),
  ]);
  const { from = "", to = "" } = answers[0] ?? {};
  const currencies = new Map<string, (string | null)[]>();
  for (const { key, total } of groupsOf(costs[0])) {
    const { placementId: id, currency = null } = key ?? {};
    if (id != null && total) currencies.set(id, [...(currencies.get(id) ?? []), currency]);
  }
  return { from, to, placements: placementsOf(rowsOf(MEASURES, answers), currencies), hasMore: answers.some(hasOthers) };
}

/** The dearest first, then those with most views. */
export function placementsOf(rows: Row<PlacementMeasure>[], currencies: Map<string, (string | null)[]>): Placement[] {
  const placements = rows.flatMap(({ key, cells }): Placement[] => {
    const id = key["placementId"];
    return id == null ? [] : [{ id, cells, currencies: currencies.get(id) ?? [] }];
  });
  return placements.sort((a, b) => byLargest(a.cells.price.total, b.cells.price.total) || byLargest(a.cells.views.total, b.cells.views.total));
}
