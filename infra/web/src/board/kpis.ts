import type { Answer, Series } from "./answers";

export type Unit = "count" | "percent" | "net" | "seconds";

/** How far a number is from that of the period before: as a fraction of it, or as a difference. */
export type Change = { as: "fraction" | "points" | "difference"; amount: number };

interface Definition {
  unit: Unit;
  upIsGood: boolean;
  query: Record<string, string>;
}

export const KPIS = {
  sent: { unit: "count", upIsGood: true, query: { formula: "message_sent", name: "sent" } },
  delivery_rate: { unit: "percent", upIsGood: true, query: { metric: "delivery_rate" } },
  error_rate: { unit: "percent", upIsGood: false, query: { metric: "error_rate" } },
  read_rate: { unit: "percent", upIsGood: true, query: { metric: "read_rate" } },
  ctr: { unit: "percent", upIsGood: true, query: { metric: "ctr" } },
  reply_rate: { unit: "percent", upIsGood: true, query: { metric: "reply_rate" } },
  net_growth: { unit: "net", upIsGood: true, query: { metric: "net_growth" } },
  flood_wait_per_1k: { unit: "seconds", upIsGood: false, query: { metric: "flood_wait_per_1k" } },
} satisfies Record<string, Definition>;

export type KpiId = keyof typeof KPIS;
export const KPI_IDS = Object.keys(KPIS) as KpiId[];

/** Two streams, since a frame must hold the answers of one. */
export const KPI_STREAMS = { results: KPI_IDS.slice(0, 4), responses: KPI_IDS.slice(4) };

/** The change of a share is told in points: "from 2 % to 3 %" is one point, while "+50 %" of a share misleads. */
export function changeOf(unit: Unit, series: Series): Change | null {
  const { total, previous } = series;
  if (total === null || !previous) return null;
  if (unit === "count" || unit === "seconds") {
    return previous.change === null ? null : { as: "fraction", amount: previous.change };
  }
  if (previous.total === null) return null;
  return { as: unit === "percent" ? "points" : "difference", amount: total - previous.total };
}

export interface Moment {
  time: Date;
  value: number | null;
  previous: number | null;
  /** Still running. */
  isOpen: boolean;
}

/** The buckets to draw. One that began before the range holds only a part of its time, and would look like a fall. */
export function momentsOf(answer: Answer): Moment[] {
  const series = answer.series[0];
  const last = (series?.points.length ?? 0) - 1;
  const from = Date.parse(answer.from);
  const moments = (series?.points ?? []).map((point, index) => ({
    time: new Date(point.time),
    value: point.value,
    previous: series?.previous?.points[index]?.value ?? null,
    isOpen: index === last,
  }));
  return moments.filter((moment, index) => index > 0 || moment.time.getTime() >= from);
}
