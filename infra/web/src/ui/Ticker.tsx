import { useState } from "preact/hooks";
import { areEventsFresh, events, eventsError, phase, rate, unlisted } from "../board/board";
import { identityOf } from "../board/ticker";
import type { LiveEvent } from "../live/frames";
import { formats, texts } from "../texts/language";
import { EventRow } from "./EventRow";
import { Empty, PanelError } from "./Panel";
import { second } from "./second";

export function Ticker() {
  const say = texts.value.ticker;
  const [paused, setPaused] = useState<LiveEvent[] | null>(null);
  const shown = paused ?? events.value;
  const known = new Set(paused?.map(identityOf));
  const newer = paused ? events.value.filter((event) => !known.has(identityOf(event))).length : 0;
  return (
    <section class="panel ticker" aria-labelledby="ticker-heading" data-fresh={areEventsFresh.value}>
      <header class="panel__header">
        <h2 id="ticker-heading">{say.heading}</h2>
        <Rate />
        {newer > 0 && <span class="panel__aside">{say.waiting(newer < 50 ? String(newer) : "50+")}</span>}
        <button
          type="button"
          class="button button--small"
          aria-pressed={paused !== null}
          onClick={() => setPaused(paused ? null : events.value)}
        >
          {paused ? say.resume : say.pause}
        </button>
      </header>
      <div class="panel__body ticker__scroll" tabIndex={0} role="log" aria-live="off" aria-labelledby="ticker-heading" data-testid="ticker">
        {eventsError.value ? (
          <PanelError error={eventsError.value} />
        ) : shown.length === 0 ? (
          <Empty>{say.empty}</Empty>
        ) : (
          <ol class="ticker__events">
            {shown.map((event) => (
              <EventRow key={identityOf(event)} event={event} />
            ))}
          </ol>
        )}
      </div>
      <Unlisted />
    </section>
  );
}

function Rate() {
  const say = texts.value.ticker;
  const perSecond = phase.value === "live" ? rate.at(Math.max(second.value, performance.now())) : null;
  return (
    <span class="ticker__rate" data-testid="rate" data-value={perSecond ?? ""} title={say.rateLong}>
      {perSecond === null ? "–" : say.rate(formats.value.rate(perSecond))}
    </span>
  );
}

/** Says that the list is not all there was. */
function Unlisted() {
  const say = texts.value.ticker;
  const { skipped, lagged } = unlisted.value;
  if (skipped + lagged === 0) return null;
  return (
    <p class="ticker__unlisted" data-testid="unlisted">
      {skipped > 0 && <span>{say.skipped(formats.value.count(skipped))}</span>}
      {lagged > 0 && <span>{say.lagged(formats.value.count(lagged))}</span>}
    </p>
  );
}
