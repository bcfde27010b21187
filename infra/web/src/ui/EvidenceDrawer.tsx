import { useEffect, useRef, useState } from "preact/hooks";
import { identityOf } from "../board/ticker";
import type { LiveEvent } from "../live/frames";
import { search } from "../pages/ask";
import { type Evidence, evidence, searchFor } from "../pages/evidence";
import { useAnswer } from "../pages/resource";
import { formats, texts } from "../texts/language";
import { EventRow } from "./EventRow";
import { Empty, PanelError } from "./Panel";

/** The events behind a number, beside the page. */
export function EvidenceDrawer() {
  const dialog = useRef<HTMLDialogElement>(null);
  const shown = evidence.value;
  useEffect(() => {
    // A dialog brings the focus back by itself when it closes.
    if (shown && !dialog.current?.open) dialog.current?.showModal();
  }, [shown]);
  useEffect(() => () => void (evidence.value = null), []);
  const close = () => dialog.current?.close();
  return (
    <dialog
      ref={dialog}
      class="drawer"
      aria-labelledby="drawer-heading"
      data-testid="evidence"
      onClose={() => (evidence.value = null)}
      onClick={(event) => event.target === dialog.current && close()}
    >
      {shown && <Contents of={shown} close={close} />}
    </dialog>
  );
}

function Contents({ of, close }: { of: Evidence; close(): void }) {
  const say = texts.value.pages.events;
  const asked = searchFor(of);
  const { data, error } = useAnswer(JSON.stringify(asked), (abort) => search({ ...asked, count: "true" }, abort));
  const [older, setOlder] = useState<{ events: LiveEvent[]; cursor: string | null } | null>(null);
  const cursor = older ? older.cursor : data?.nextCursor;
  const events = withoutRepeats([...(data?.events ?? []), ...(older?.events ?? [])]);
  const abort = useRef(new AbortController());
  useEffect(() => () => abort.current.abort(), []);
  const askOlder = async () => {
    if (!cursor) return;
    const found = await search({ ...asked, cursor }, abort.current.signal).catch(() => null);
    if (found) setOlder({ events: [...(older?.events ?? []), ...found.events], cursor: found.nextCursor });
  };
  return (
    <>
      <header class="drawer__header">
        <h2 id="drawer-heading">{of.title}</h2>
        <button type="button" class="button button--small" data-testid="evidence-close" onClick={close}>
          {say.close}
        </button>
        {data && (
          <p data-testid="evidence-count" data-value={data.total ?? events.length}>
            {say.of(formats.value.count(events.length), formats.value.count(data.total ?? events.length))}
          </p>
        )}
      </header>
      <div class="drawer__body" tabIndex={0} role="region" aria-labelledby="drawer-heading" aria-busy={!data && !error}>
        {error && !data ? (
          <PanelError error={{ type: "error", ...error }} />
        ) : !data ? (
          <Empty>{say.loading}</Empty>
        ) : events.length === 0 ? (
          <Empty>{say.empty}</Empty>
        ) : (
          <ol>
            {events.map((event) => (
              <EventRow key={identityOf(event)} event={event} isFull />
            ))}
          </ol>
        )}
        {cursor && (
          <button type="button" class="button drawer__older" onClick={() => void askOlder()}>
            {say.older}
          </button>
        )}
      </div>
    </>
  );
}

/** The newest are asked for again each minute, and may then reach into the older ones. */
function withoutRepeats(events: LiveEvent[]): LiveEvent[] {
  return [...new Map(events.map((event) => [identityOf(event), event])).values()];
}
