import { useState } from "preact/hooks";
import { alerts, asOf, phase } from "../board/board";
import { expiring, offer, renewalError } from "../board/watch";
import { formats, texts } from "../texts/language";
import { refusalText } from "./SignIn";

/** Numbers must never look live when they are not. */
export function NotLive() {
  const say = texts.value.state;
  const now = phase.value;
  if (now === "live" || now === "connecting") return null;
  return (
    <p class="notice notice--warning not-live" role="alert" data-testid="not-live">
      {asOf.value ? say.notLive(formats.value.clock(asOf.value)) : say.noNumbers}
    </p>
  );
}

export function AlertStrip() {
  const say = texts.value.alerts;
  if (alerts.value.length === 0) return null;
  return (
    <ul class="alerts" aria-label={say.heading} data-testid="alerts">
      {alerts.value.map(({ severity, title, since }) => (
        <li key={title + since} class={`notice notice--${severity}`}>
          <strong>{say[severity]}</strong> {title} <time dateTime={since}>{say.since(formats.value.dayAndTime(new Date(since)))}</time>
        </li>
      ))}
    </ul>
  );
}

/** A place for another token before the one in use ends. */
export function Expiring() {
  const say = texts.value;
  const [pasted, setPasted] = useState("");
  const at = expiring.value;
  if (!at) return null;
  const submit = (event: Event) => {
    event.preventDefault();
    offer(pasted);
    setPasted("");
  };
  return (
    <form class="notice notice--warning expiring" onSubmit={submit} data-testid="expiring">
      <label for="new-token">{say.expiring.text(formats.value.clock(at))}</label>
      <input
        id="new-token"
        type="password"
        autocomplete="off"
        required
        value={pasted}
        aria-describedby="new-token-error"
        onInput={(event) => setPasted(event.currentTarget.value)}
      />
      <button type="submit" class="button">
        {say.expiring.submit}
      </button>
      <span id="new-token-error" role="alert">
        {renewalError.value && refusalText(renewalError.value)}
      </span>
    </form>
  );
}
