import type { Moment } from "../board/kpis";

const WIDTH = 100;
const HEIGHT = 24;

/** The course of a figure at a glance; the chart has its numbers. */
export function Sparkline({ moments }: { moments: Moment[] }) {
  const values = moments.map(({ value }) => value);
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" />;
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const x = (index: number) => round((index / (values.length - 1)) * WIDTH);
  const y = (value: number) => round(HEIGHT - 1.5 - ((value - low) / span) * (HEIGHT - 3));
  const runs = runsOf(values);
  const line = runs.map((run) => `M${run.map(({ at, value }) => `${x(at)} ${y(value)}`).join("L")}`).join("");
  const area = runs.map((run) => areaUnder(run.map(({ at, value }) => [x(at), y(value)] as const))).join("");
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="sparkline__area" d={area} />
      <path class="sparkline__line" d={line} />
    </svg>
  );
}

type Run = { at: number; value: number }[];

/** What is not known is a gap. */
function runsOf(values: (number | null)[]): Run[] {
  const runs: Run[] = [[]];
  values.forEach((value, at) => {
    if (value === null) runs.push([]);
    else runs.at(-1)?.push({ at, value });
  });
  return runs.filter((run) => run.length > 0);
}

function areaUnder(points: (readonly [number, number])[]): string {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return "";
  return `M${first[0]} ${HEIGHT}L${points.map(([x, y]) => `${x} ${y}`).join("L")}L${last[0]} ${HEIGHT}Z`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
