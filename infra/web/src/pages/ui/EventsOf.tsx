import type { ComponentChildren } from "preact";
import { texts } from "../../texts/language";
import { type Evidence, evidence } from "../evidence";

interface Properties {
  of: Evidence;
  /** The number as it is, for tests and for copying. */
  value?: number | string | null | undefined;
  children: ComponentChildren;
}

/** A number that leads to its events. */
export function EventsOf({ of, value, children }: Properties) {
  return (
    <button type="button" class="number" title={texts.value.pages.events.open} data-value={value ?? ""} onClick={() => (evidence.value = of)}>
      {children}
    </button>
  );
}
