import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { formats, texts } from "../../texts/language";
import { Empty } from "../../ui/Panel";
import { type Sortable, type Sorting, sortedBy } from "../sorting";

export interface Column<Row> extends Sortable<Row> {
  heading: string;
  cell(row: Row): ComponentChildren;
  /** Texts begin where reading does, and may take lines. */
  isText?: boolean;
}

interface Properties<Row> {
  name: string;
  columns: Column<Row>[];
  rows: Row[];
  keyOf(row: Row): string;
  empty: string;
  /** Below the table. */
  note?: ComponentChildren;
}

const SHOWN = 50;

/** A table of a page: sorted by the column that is chosen, and on a phone a list of rows. The roles are said again, since a table
 * that is laid out otherwise is none to browsers. */
export function Sheet<Row>({ name, columns, rows, keyOf, empty, note }: Properties<Row>) {
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const [isWhole, setWhole] = useState(false);
  if (rows.length === 0) return <Empty>{empty}</Empty>;
  const sorted = sortedBy(rows, columns, sorting);
  const shown = isWhole ? sorted : sorted.slice(0, SHOWN);
  return (
    <>
      <div class="scrolls">
        <table class="sheet" role="table" data-testid={name}>
          <thead role="rowgroup">
            <tr role="row">
              {columns.map((column) => (
                <Heading key={column.id} column={column} sorting={sorting} sort={setSorting} />
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {shown.map((row) => (
              <tr key={keyOf(row)} role="row" data-key={keyOf(row)}>
                {columns.map((column, index) => (
                  <BodyCell key={column.id} column={column} row={row} isFirst={index === 0} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < rows.length && (
        <button type="button" class="button button--small sheet__all" onClick={() => setWhole(true)}>
          {texts.value.pages.showAll(formats.value.count(rows.length))}
        </button>
      )}
      {note && <p class="panel__note">{note}</p>}
    </>
  );
}

function BodyCell<Row>({ column, row, isFirst }: { column: Column<Row>; row: Row; isFirst: boolean }) {
  const kind = column.isText ? "sheet__text" : undefined;
  if (isFirst) {
    return (
      <th scope="row" role="rowheader" class={kind}>
        {column.cell(row)}
      </th>
    );
  }
  return (
    <td role="cell" class={kind} data-column={column.id} data-heading={column.heading}>
      <div class="sheet__cell">{column.cell(row)}</div>
    </td>
  );
}

function Heading<Row>({ column, sorting, sort }: { column: Column<Row>; sorting: Sorting | null; sort(to: Sorting): void }) {
  const { id, heading, sortBy, isText } = column;
  const isBy = sorting?.by === id;
  const isUp = isBy && sorting.isUp;
  const state = isBy ? (isUp ? "ascending" : "descending") : undefined;
  return (
    <th scope="col" role="columnheader" class={isText ? "sheet__text" : undefined} aria-sort={state}>
      {sortBy ? (
        <button type="button" class="sort" data-state={state} onClick={() => sort({ by: id, isUp: isBy ? !isUp : Boolean(isText) })}>
          {heading}
        </button>
      ) : (
        heading
      )}
    </th>
  );
}
