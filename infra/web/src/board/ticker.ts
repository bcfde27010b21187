import type { LiveEvent, Totals } from "../live/frames";

export const KEPT_EVENTS = 50;
const RATE_OVER_MS = 10_000;
const RATE_AFTER_MS = 1_000;

/** The latest events with the newest first; one that comes again, after a reconnect, is there once. */
export function withNewer(shown: LiveEvent[], newer: LiveEvent[]): LiveEvent[] {
  const byId = new Map<string, LiveEvent>();
  for (const event of [...[...newer].reverse(), ...shown]) {
    const id = identityOf(event);
    if (!byId.has(id)) byId.set(id, event);
    if (byId.size === KEPT_EVENTS) break;
  }
  return [...byId.values()];
}

/** The latest events that are stored, below those that have come since. */
export function withStored(shown: LiveEvent[], stored: LiveEvent[]): LiveEvent[] {
  const ids = new Set(stored.map(identityOf));
  return [...shown.filter((event) => !ids.has(identityOf(event))), ...stored].slice(0, KEPT_EVENTS);
}

/** As the service tells events apart. */
export function identityOf(event: LiveEvent): string {
  return `${event.eventName} ${event.timestamp} ${event.eventId}`;
}

/** How many events a second there were lately, out of sums that only grow. */
export class EventRate {
  private since = "";
  private samples: { at: number; events: number }[] = [];

  take(totals: Totals, now: number): void {
    const last = this.samples.at(-1);
    if (totals.since !== this.since || (last && totals.events < last.events)) this.samples = [];
    this.since = totals.since;
    this.samples.push({ at: now, events: totals.events });
    this.forgetBefore(now - RATE_OVER_MS);
  }

  forget(): void {
    this.samples = [];
  }

  /** Nothing while too little is known. */
  at(now: number): number | null {
    const begin = now - RATE_OVER_MS;
    this.forgetBefore(begin);
    const [first] = this.samples;
    const last = this.samples.at(-1);
    if (!first || !last) return null;
    const elapsed = now - Math.max(first.at, begin);
    return elapsed < RATE_AFTER_MS ? null : ((last.events - first.events) * 1000) / elapsed;
  }

  /** But for the last sum known by then, which is what the others are compared with. */
  private forgetBefore(begin: number): void {
    while (this.samples[1] && this.samples[1].at <= begin) this.samples.shift();
  }
}
