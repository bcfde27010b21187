import type { ComponentChildren } from "preact";
import { Empty, Panel, type PanelProperties } from "./Panel";

interface Column {
  heading: string;
  class?: string;
}

interface Properties extends Omit<PanelProperties, "children"> {
  columns: Column[];
  /** Said when there are no rows. */
  empty: string;
  rows: ComponentChildren[];
  /** Said below them. */
  note?: ComponentChildren;
}

/** A panel with a table. */
export function Listing({ columns, empty, rows, note, ...panel }: Properties) {
  return (
    <Panel {...panel}>
      {rows.length === 0 ? (
        <Empty>{empty}</Empty>
      ) : (
        <div class="scrolls">
          <table data-testid={panel.name}>
            <thead>
              <tr>
                {columns.map(({ heading, ...column }) => (
                  <th key={heading} scope="col" {...column}>
                    {heading}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>{rows}</tbody>
          </table>
        </div>
      )}
      {note}
    </Panel>
  );
}
