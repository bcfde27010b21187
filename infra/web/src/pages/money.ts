import type { Answer, Key } from "../board/answers";
import type { Scope } from "../board/questions";
import { campaignIs } from "../board/questions";
import { filtered, query, totalsOf } from "./ask";
import { type Cell, type Row, byLargest, cellsOf, counted, metric, queriesOf, rowsOf, taken } from "./rows";

const SUMS = {
  spend: counted("sum(cost_recorded.amount)"),
  revenue: counted("sum(conversion_recorded.value)"),
  margin: counted("sum(conversion_recorded.margin)"),
  margins: counted("count(conversion_recorded.margin)"),
};
const RATES = { roi: metric("roi"), margin_roi: metric("margin_roi"), cost_per_stayed: metric("cost_per_stayed"), cpm: metric("cpm") };

export type Sum = keyof typeof SUMS;
export type Rate = keyof typeof RATES;

/** The money of one currency; `null` of amounts that name none. */
export interface Account {
  currency: string | null;
  sums: Record<Sum, Cell>;
  rates: Record<Rate, Cell>;
}

export interface Money {
  from: string;
  to: string;
  accounts: Account[];
}

/** More are not daily business, and each is a question of its own. */
const MOST_CURRENCIES = 6;

export async function askMoney(scope: Scope, abort: AbortSignal): Promise<Money> {
  const sums = await query(totalsOf(scope, { groupBy: ["currency"], limit: 100, queries: queriesOf(SUMS) }), abort);
  const { from = "", to = "" } = sums[0] ?? {};
  const found = currenciesOf(rowsOf(SUMS, sums)).slice(0, MOST_CURRENCIES);
  const accounts = found.map(async (row): Promise<Account> => {
    const currency = row.key["currency"] ?? null;
    const answers = await query(ratesIn(currency, found.length, scope), abort);
    return { currency, sums: row.cells, rates: cellsOf(RATES, answers) };
  });
  return { from, to, accounts: await Promise.all(accounts) };
}

/** The currencies that have amounts, by name: amounts of different currencies have no order. */
export function currenciesOf<Name extends Sum>(rows: Row<Name>[]): Row<Name>[] {
  const amount = ({ cells }: Row<Name>, name: Sum) => (cells as Record<Sum, Cell>)[name]?.total ?? 0;
  const hasMoney = (row: Row<Name>) => (["spend", "revenue", "margin", "margins"] as const).some((name) => amount(row, name) !== 0);
  return rows
    .filter(hasMoney)
    .sort(({ key: { currency: a } }, { key: { currency: b } }) => (a == null ? 1 : b == null ? -1 : a.localeCompare(b)));
}

function ratesIn(currency: string | null, currencies: number, scope: Scope): object {
  const queries = queriesOf(RATES);
  if (currency !== null) return totalsOf(scope, { currency, queries });
  // Events that are no money, such as joins, have no currency either.
  const isBare = currencies > 1 ? ["currency = null"] : [];
  return totalsOf(scope, { queries, ...filtered(scope.campaign && campaignIs(scope.campaign), ...isBare) });
}

const SPENDING = { budget: taken("last(campaign_started.budget by campaignId)"), spent: counted("sum(cost_recorded.amount)") };

/** What a campaign may cost, and has cost, in one currency. */
export interface Spending {
  campaign: string;
  currency: string | null;
  budget: number | null;
  spent: number | null;
}

export interface Budgets {
  from: string;
  to: string;
  spendings: Spending[];
}

/** Of all days that are kept: a budget is for a whole campaign. */
export async function askBudgets(scope: Scope, abort: AbortSignal): Promise<Budgets> {
  const question = totalsOf(scope, { period: "1y", groupBy: ["campaignId", "currency"], limit: 100, queries: queriesOf(SPENDING) });
  const answers = await query(question, abort);
  const { from = "", to = "" } = answers[0] ?? {};
  return { from, to, spendings: spendingsOf(answers) };
}

/** Those that are nearest to the end of their budget come first, those without one last. */
export function spendingsOf(answers: Answer[]): Spending[] {
  const all = rowsOf(SPENDING, answers).flatMap(({ key, cells }): Spending[] => {
    const { campaignId: campaign, currency = null } = key as Key;
    if (campaign == null) return [];
    return [{ campaign, currency, budget: cells.budget.total, spent: cells.spent.total }];
  });
  const merged = all.flatMap((one) => {
    const others = all.filter((other) => other.campaign === one.campaign && other !== one);
    const [other] = others;
    // A budget that names no currency is in the only one that the campaign spends.
    if (others.length === 1 && other) {
      if (one.currency === null && other.budget === null && !one.spent) return [{ ...other, budget: one.budget }];
      if (other.currency === null && one.budget === null && !other.spent) return [];
    }
    return [one];
  });
  return merged.filter(({ budget, spent }) => budget || spent).sort((a, b) => byLargest(usedOf(a), usedOf(b)) || byLargest(a.spent, b.spent));
}

/** How much of the budget is used, in percent. */
export function usedOf({ budget, spent }: Spending): number | null {
  return budget && spent !== null ? (100 * spent) / budget : null;
}
