import type { LiveEvent } from "../live/frames";
import { formats, texts } from "../texts/language";

/** One event in a list. With `isFull`, also its day and all that is known of it. */
export function EventRow({ event, isFull = false }: { event: LiveEvent; isFull?: boolean }) {
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
      <time dateTime={timestamp}>{isFull ? formats.value.dayAndClock(new Date(timestamp)) : formats.value.clock(new Date(timestamp))}</time>
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
      {isFull && <Rest event={event} />}
    </li>
  );
}

/** What the row does not say already. */
const SAID = ["errorClass", "waitS", "groupId", "senderId", "campaignId", "text"];

function Rest({ event: { userId, properties = {} } }: { event: LiveEvent }) {
  const isSaid = (name: string, value: unknown) => SAID.includes(name) && (typeof value === "string" || name === "waitS");
  const rest = Object.entries({ ...(userId && { userId }), ...properties }).filter(([name, value]) => !isSaid(name, value));
  if (rest.length === 0) return null;
  return (
    <span class="event__rest">
      {rest.map(([name, value]) => (
        <bdi key={name}>
          {name} <b>{typeof value === "string" ? value : JSON.stringify(value)}</b>
        </bdi>
      ))}
    </span>
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
