import type { ComponentChildren } from "preact";
import type { ErrorFrame } from "../live/frames";
import { texts } from "../texts/language";

export interface PanelProperties {
  /** What it shows; also its place in the layout. */
  name: string;
  heading: string;
  aside?: ComponentChildren;
  isLoading: boolean;
  isFresh: boolean;
  error: ErrorFrame | null;
  children: ComponentChildren;
}

/** A card of the board: waiting for its first answer, showing it, or saying why it cannot. */
export function Panel({ name, heading, aside, isLoading, isFresh, error, children }: PanelProperties) {
  const id = `${name}-heading`;
  return (
    <section class={`panel ${name}`} aria-labelledby={id} aria-busy={isLoading} data-testid={`panel-${name}`} data-fresh={isFresh}>
      <header class="panel__header">
        <h2 id={id}>{heading}</h2>
        {aside}
      </header>
      <div class="panel__body">
        {error ? <PanelError error={error} /> : isLoading ? <Skeleton /> : children}
      </div>
    </section>
  );
}

export function PanelError({ error }: { error: ErrorFrame }) {
  return (
    <p class="panel__message panel__message--error" role="alert" title={error.code}>
      {texts.value.panelError(error.detail)}
    </p>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="panel__message">{children}</p>;
}

function Skeleton() {
  return (
    <div class="skeleton">
      <span class="hidden">{texts.value.loading}</span>
      {[90, 70, 80, 55, 65].map((width) => (
        <span key={width} class="skeleton__line" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}
