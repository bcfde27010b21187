import type { Answer, Key, Reason, Series } from "../board/answers";

/** A number that is asked for. */
export interface Measure {
  query: Record<string, string>;
  /** What a group without a series has: 0 of what is counted, null of what needs values. */
  none: 0 | null;
}

export const counted = (formula: string): Measure => ({ query: { formula }, none: 0 });
export const taken = (formula: string): Measure => ({ query: { formula }, none: null });
export const metric = (id: string): Measure => ({ query: { metric: id }, none: null });

export interface Cell {
  total: number | null;
  reason?: Reason;
}

export interface Row<Name extends string> {
  key: Key;
  cells: Record<Name, Cell>;
}

type Measures<Name extends string> = Record<Name, Measure>;

export const queriesOf = (measures: Measures<string>): object[] => Object.values(measures).map(({ query }) => query);

/** A row for each group that any of the answers has. The answers are in the order of the measures. */
export function rowsOf<Name extends string>(measures: Measures<Name>, answers: Answer[]): Row<Name>[] {
  const names = Object.keys(measures) as Name[];
  const byGroup = names.map((_, index) => new Map(groupsOf(answers[index]).map((series) => [idOf(series.key), series])));
  const keys = new Map(byGroup.flatMap((groups) => [...groups].map(([id, { key }]) => [id, key ?? {}] as const)));
  return [...keys].map(([id, key]) => {
    const cells = names.map((name, index): [Name, Cell] => {
      const series = byGroup[index]?.get(id);
      if (series) return [name, cellOf(series)];
      // Where not all groups are told, one that is missing may have any number.
      return [name, { total: hasOthers(answers[index]) ? null : measures[name].none }];
    });
    return { key, cells: Object.fromEntries(cells) as Record<Name, Cell> };
  });
}

/** The numbers of answers that are not split. */
export function cellsOf<Name extends string>(measures: Measures<Name>, answers: Answer[]): Record<Name, Cell> {
  const cells = (Object.keys(measures) as Name[]).map((name, index): [Name, Cell] => {
    const series = answers[index]?.series[0];
    return [name, series ? cellOf(series) : { total: measures[name].none }];
  });
  return Object.fromEntries(cells) as Record<Name, Cell>;
}

/** Whether there are groups beyond those that are told by themselves. */
export function hasOthers(answer: Answer | undefined): boolean {
  return answer?.series.some(({ other }) => other) ?? false;
}

export function groupsOf(answer: Answer | undefined): Series[] {
  return answer?.series.filter(({ other, key }) => !other && key) ?? [];
}

function cellOf({ total, reason }: Series): Cell {
  return reason ? { total, reason } : { total };
}

function idOf(key: Key = {}): string {
  return JSON.stringify(Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The largest first; what is not known comes last. */
export function byLargest(a: number | null, b: number | null): number {
  return (b ?? -Infinity) - (a ?? -Infinity) || 0;
}
