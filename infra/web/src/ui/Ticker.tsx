import { useState } from "preact/hooks";
import { areEventsFresh, events, eventsError, phase, rate, unlisted } from "../board/board";
import { identityOf } from "../board/ticker";
import type { LiveEvent } from "../live/frames";
import { formats, texts } from "../texts/language";
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
              <Item key={identityOf(event)} event={event} />
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

function Item({ event }: { event: LiveEvent }) {
  const say = texts.value;
  const { eventName, timestamp, properties = {} } = event;
  const text = (name: string) => (typeof properties[name] === "string" ? (properties[name] as string) : "");
  const errorClass = text("errorClass");
  const wait = properties["waitS"];
  const about = [
    say.errorClasses.get(errorClass) ?? errorClass,
    typeof wait === "number" ? say.ticker.waits(formats.value.duration(wait)) : "",
    text("groupId"),
    text("senderId"),
  ].filter(Boolean);
  return (
    <li class={`event event--${toneOf(eventName)}`} data-event-id={event.eventId}>
      <time dateTime={timestamp}>{formats.value.clock(new Date(timestamp))}</time>
      <span class="event__name">{say.events.get(eventName) ?? eventName}</span>
      <bdi class="event__campaign">{text("campaignId")}</bdi>
      <span class="event__about">
        {about.map((part) => (
          <bdi key={part}>{part}</bdi>
        ))}
      </span>
      {text("text") && (
        <span class="event__text" dir="auto">
          {text("text")}
        </span>
      )}
    </li>
  );
}

const GOOD = ["conversion_recorded", "member_joined", "link_clicked", "reply_received", "sender_recovered", "bot_started"];
const BAD = ["message_failed", "sender_banned", "sender_restricted", "sender_session_lost", "group_restricted", "bot_blocked"];
const SLOW = ["sender_flood_wait", "sender_peer_flood", "member_left", "message_deleted", "campaign_paused"];

function toneOf(eventName: string): string {
  if (GOOD.includes(eventName)) return "good";
  if (BAD.includes(eventName)) return "bad";
  return SLOW.includes(eventName) ? "slow" : "plain";
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
