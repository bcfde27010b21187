const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** How long to wait before a try, after `failures` that failed: twice as long each time, and never all clients at once. */
export function delayBefore(failures: number, random: number): number {
  const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** failures);
  return most / 2 + (most / 2) * random;
}
