export interface Sortable<Row> {
  id: string;
  /** What rows are sorted by; without it, they are not by this column. */
  sortBy?(row: Row): number | string | null;
}

export interface Sorting {
  by: string;
  isUp: boolean;
}

/** What is not known comes last, whichever way. */
export function sortedBy<Row>(rows: Row[], columns: Sortable<Row>[], sorting: Sorting | null): Row[] {
  const sortBy = columns.find(({ id }) => id === sorting?.by)?.sortBy;
  if (!sorting || !sortBy) return rows;
  const way = sorting.isUp ? 1 : -1;
  return rows
    .map((row) => ({ row, value: sortBy(row) }))
    .sort(({ value: a }, { value: b }) => {
      if (a === null || b === null) return Number(a === null) - Number(b === null);
      return way * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    })
    .map(({ row }) => row);
}
