import { asOf, phase, retryAt } from "../board/board";
import { retryNow } from "../board/watch";
import { formats, texts } from "../texts/language";
import { second } from "./second";

/** Whether the numbers are those of now. Only the word is announced, not the seconds that pass. */
export function ConnectionState() {
  const say = texts.value.state;
  const now = phase.value;
  const waits = now === "reconnecting" || now === "offline";
  return (
    <div class="state" data-testid="state" data-state={now}>
      <span class="state__dot" aria-hidden="true" />
      <span role="status" aria-label={say.label}>
        {say[now]}
      </span>
      {waits && now === "reconnecting" && <Countdown />}
      {waits && (
        <button type="button" class="button button--small" aria-label={say.nowLong} onClick={retryNow}>
          {say.now}
        </button>
      )}
      <AsOf />
    </div>
  );
}

function Countdown() {
  // Right after a connection broke, the last tick lies before it.
  const from = Math.max(second.value, performance.now() - 1000);
  const seconds = Math.max(1, Math.ceil((retryAt.value - from) / 1000));
  return <span class="state__countdown">{texts.value.state.inSeconds(String(seconds))}</span>;
}

function AsOf() {
  const at = asOf.value;
  if (!at) return null;
  return (
    <time class="state__as-of" data-testid="as-of" dateTime={at.toISOString()}>
      {texts.value.state.asOf} {formats.value.clock(at)}
    </time>
  );
}
