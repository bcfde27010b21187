import { signal } from "@preact/signals";

/** The time, as often as people count it. By the clock that connections go by. */
export const second = signal(performance.now());

setInterval(() => {
  if (!document.hidden) second.value = performance.now();
}, 1000);
