import { type Panel, panels } from "../board/board";
import type { Answer } from "../board/answers";
import { KPI_STREAMS, type KpiId } from "../board/kpis";

/** The panel that a key figure is in, and its own answer there. */
export function kpiAnswer(id: KpiId): { panel: Panel; answer: Answer | undefined } {
  const topic = KPI_STREAMS.results.includes(id) ? "results" : "responses";
  const panel = panels[topic].value;
  return { panel, answer: panel.answers?.[KPI_STREAMS[topic].indexOf(id)] };
}
