import { formats, texts } from "../../texts/language";
import type { Evidence } from "../evidence";
import type { Cell } from "../rows";
import { EventsOf } from "./EventsOf";

interface Properties {
  cell: Cell;
  write(value: number): string;
  of: Evidence;
}

/** A number with its events, or why there is none. */
export function Value({ cell: { total, reason }, write, of }: Properties) {
  if (total === null) return <Nothing because={texts.value.reasons[reason ?? "no_values"]} />;
  return (
    <EventsOf of={of} value={total}>
      {write(total)}
    </EventsOf>
  );
}

export function Nothing({ because }: { because: string }) {
  return (
    <span class="nothing" title={because}>
      <span aria-hidden="true">–</span>
      <span class="hidden">{because}</span>
    </span>
  );
}

/** An amount in the currency that it has. Without one, that is said where all amounts of a table are. */
export const moneyIn = (currency: string | null) => (value: number) => formats.value.money(value, currency);
