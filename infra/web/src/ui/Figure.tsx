import { useRef } from "preact/hooks";

/** A number that lights up for a moment when it has changed, and never shows one that is not true. */
export function Figure({ text, of }: { text: string; of: string }) {
  const shown = useRef({ text, of, times: 0 });
  const before = shown.current;
  if (before.of !== of) shown.current = { text, of, times: 0 };
  else if (before.text !== text) shown.current = { text, of, times: before.times + 1 };
  const { times } = shown.current;
  return (
    <span key={times} class={times > 0 ? "figure figure--changed" : "figure"}>
      {text}
    </span>
  );
}
