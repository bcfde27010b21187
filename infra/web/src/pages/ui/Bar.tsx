/** A share, beside the number that says it. */
export function Bar({ percent, isBad = false }: { percent: number; isBad?: boolean }) {
  return (
    <span class={isBad ? "bar bar--bad" : "bar"} aria-hidden="true">
      <span style={{ width: `${Math.min(Math.max(percent, 0), 100)}%` }} />
    </span>
  );
}
