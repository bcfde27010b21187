/** What a question to metrics is answered by. */
export interface Answer {
  name: string;
  unit?: string;
  from: string;
  to: string;
  interval: string;
  asOf: string;
  series: Series[];
}

export interface Series extends Total {
  key?: Key;
  other?: boolean;
  points: Point[];
  previous?: Previous;
}

export interface Total {
  total: number | null;
  reason?: Reason;
}

export interface Previous extends Total {
  change: number | null;
  points: Point[];
}

export interface Point {
  time: string;
  value: number | null;
  reason?: Reason;
}

export type Key = Record<string, string | null>;
export type Reason = "zero_denominator" | "no_values" | "overflow" | "several_currencies";

/** A series as it is now; of its points those that have changed. What came before does not change but in its total. */
export interface SeriesChange extends Total {
  key?: Key;
  other?: boolean;
  points?: Point[];
  previous?: Partial<Previous>;
}

/** The answers after a change, in the order of their questions. What has not changed stays the same object. */
export function changed(answers: Answer[], changes: { series: SeriesChange[] }[]): Answer[] {
  return answers.map((answer, index) => {
    const series = changes[index]?.series ?? [];
    return series.length === 0 ? answer : { ...answer, series: changedSeries(answer.series, series) };
  });
}

function changedSeries(before: Series[], changes: SeriesChange[]): Series[] {
  const after = [...before];
  for (const change of changes) {
    const index = after.findIndex((series) => isSame(series, change));
    const { points = [], previous, ...rest } = change;
    const known = after[index];
    const earlier = known?.previous || previous;
    const next: Series = {
      ...rest,
      points: merged(known?.points ?? [], points),
      ...(earlier && { previous: { ...EMPTY, ...known?.previous, ...previous } }),
    };
    if (known) after[index] = next;
    else after.push(next);
  }
  return after;
}

const EMPTY: Previous = { total: null, change: null, points: [] };

function isSame(series: Series, change: SeriesChange): boolean {
  if (Boolean(series.other) !== Boolean(change.other)) return false;
  const names = Object.keys({ ...series.key, ...change.key });
  return names.every((name) => series.key?.[name] === change.key?.[name]);
}

function merged(before: Point[], changes: Point[]): Point[] {
  if (changes.length === 0) return before;
  const byTime = new Map([...before, ...changes].map((point) => [point.time, point]));
  return [...byTime.values()].sort((a, b) => a.time.localeCompare(b.time));
}

/** The totals by the group of one property, but for those that stand for all others or for none. */
export function totalsBy(answer: Answer | undefined, property: string): Map<string, number | null> {
  const totals = new Map<string, number | null>();
  for (const { key, other, total } of answer?.series ?? []) {
    const group = key?.[property];
    if (!other && group != null) totals.set(group, total);
  }
  return totals;
}
