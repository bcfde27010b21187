import type { ComponentChildren } from "preact";

interface Properties {
  id: string;
  name: string;
  value?: number | null | undefined;
  note?: ComponentChildren;
  tone?: "good" | "bad" | undefined;
  children: ComponentChildren;
}

/** One figure with its name. */
export function Fact({ id, name, value, note, tone, children }: Properties) {
  return (
    <div class={tone ? `fact fact--${tone}` : "fact"} data-testid={`fact-${id}`} data-value={value ?? ""}>
      <dt>{name}</dt>
      <dd class="fact__value">{children}</dd>
      {note && <dd class="fact__note">{note}</dd>}
    </div>
  );
}

export function Facts({ children }: { children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>;
}
