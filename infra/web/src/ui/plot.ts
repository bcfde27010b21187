import uPlot from "uplot";
import type { Moment, Unit } from "../board/kpis";
import type { Formats } from "../formats";

export interface Look {
  formats: Formats;
  unit: Unit;
  daily: boolean;
}

/** Closed buckets, the last one still running (with the one before, to be connected to), and those of the time before. */
export function plotData(moments: Moment[]): uPlot.AlignedData {
  const last = moments.length - 1;
  return [
    moments.map(({ time }) => time.getTime() / 1000),
    moments.map(({ previous }) => previous),
    moments.map(({ value }, index) => (moments[index]?.isOpen && last > 0 ? null : value)),
    moments.map(({ value }, index) => (index >= last - 1 ? value : null)),
  ];
}

export function plotOptions(box: HTMLElement, look: Look, pointedAt: (index: number | null) => void): uPlot.Options {
  const { formats, unit, daily } = look;
  const style = getComputedStyle(box);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const font = `11px ${style.fontFamily}`;
  const axis: uPlot.Axis = { stroke: color("--ink-2"), font, ticks: { show: false } };
  const grid = { stroke: color("--line"), width: 1 };
  const isWhole = unit === "count" || unit === "net";
  const size = sizeOf(box);
  return {
    ...size,
    legend: { show: false },
    padding: [8, 22, 0, 0],
    cursor: { drag: { x: false, y: false, setScale: false }, y: false, points: { size: 8, width: 2, fill: color("--surface") } },
    scales: { y: { range: (_, low, high) => rangeOf(unit, low, high) } },
    axes: [
      { ...axis, grid: { show: false }, space: 64, size: 26, values: (_, splits) => splits.map((split) => timeLabel(formats, new Date(split * 1000), daily)) },
      { ...axis, grid, size: 48, space: 36, ...(isWhole && { incrs: WHOLE }), values: (_, splits) => splits.map((split) => formats.axis(unit, split)) },
    ],
    series: [
      {},
      { stroke: color("--ink-3"), width: 1.25, dash: [4, 4], points: { show: false } },
      { stroke: color("--accent"), width: 2, fill: color("--accent-wash"), points: { show: false } },
      { stroke: color("--accent"), width: 2, dash: [2, 3], points: { show: false } },
    ],
    hooks: { setCursor: [(plot) => pointedAt(plot.cursor.left == null || plot.cursor.left < 0 ? null : (plot.cursor.idx ?? null))] },
  };
}

export function sizeOf(box: HTMLElement): { width: number; height: number } {
  return { width: Math.max(box.clientWidth, 50), height: Math.max(box.clientHeight, 50) };
}

/** Steps of what is counted: there are no halves of it. */
const WHOLE = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

/** Amounts stand on zero; shares have room around them, since a rate that moves between 96 and 98 should be seen to move. */
function rangeOf(unit: Unit, low: number | null, high: number | null): uPlot.Range.MinMax {
  if (low == null || high == null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.12;
  if (unit === "percent") return [Math.max(0, low - room), high > 100 ? high + room : Math.min(100, high + room)];
  return [low < 0 ? low - room : 0, high > 0 ? high + room : low < 0 ? 0 : 1];
}

function timeLabel(formats: Formats, at: Date, daily: boolean): string {
  const isMidnight = at.getHours() === 0 && at.getMinutes() === 0;
  return daily || isMidnight ? formats.day(at) : formats.hourMinute(at);
}
