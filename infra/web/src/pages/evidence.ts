import { signal } from "@preact/signals";
import { filtered } from "./ask";

/** The events that a number is made of, as a search finds them. */
export interface Evidence {
  title: string;
  events: string[];
  filter?: string;
  from?: string;
  to?: string;
}

/** What the drawer shows. */
export const evidence = signal<Evidence | null>(null);

export const PAGE_OF_EVENTS = 50;

export function searchFor({ events, filter, from, to }: Evidence): Record<string, string> {
  return {
    eventName: events.join(","),
    ...(filter && { filter }),
    ...(from && { from }),
    ...(to && { to }),
    limit: String(PAGE_OF_EVENTS),
  };
}

/** Evidence of events in a range. Empty conditions do not count. */
export function eventsOf(range: { from: string; to: string }, title: string, events: string[], ...conditions: string[]): Evidence {
  return { title, events, from: range.from, to: range.to, ...filtered(...conditions) };
}
