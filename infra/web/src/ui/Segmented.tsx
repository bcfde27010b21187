import type { ComponentChildren } from "preact";

interface Choice<Value extends string> {
  value: Value;
  label: ComponentChildren;
  /** What a label that is a picture means. */
  means?: string;
  lang?: string;
}

interface Properties<Value extends string> {
  id: string;
  label: string;
  choices: Choice<Value>[];
  chosen: Value;
  choose(value: Value): void;
}

/** One of a few, side by side. */
export function Segmented<Value extends string>({ id, label, choices, chosen, choose }: Properties<Value>) {
  return (
    <fieldset class="segmented" data-testid={id} data-value={chosen}>
      <legend class="hidden">{label}</legend>
      {choices.map(({ value, label: shown, means, lang }) => (
        <label key={value} title={means} lang={lang}>
          <input type="radio" name={id} value={value} checked={value === chosen} aria-label={means} onChange={() => choose(value)} />
          <span>{shown}</span>
        </label>
      ))}
    </fieldset>
  );
}
