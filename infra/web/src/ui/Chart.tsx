import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { KPIS, type Moment, type Unit, momentsOf } from "../board/kpis";
import { period, selected } from "../board/scope";
import { formats, language, texts } from "../texts/language";
import { Empty, Panel } from "./Panel";
import { kpiAnswer } from "./kpiAnswer";
import { plotData, plotOptions, sizeOf } from "./plot";
import { appearance } from "./theme";

export function Chart() {
  const say = texts.value;
  const id = selected.value;
  const { panel, answer } = kpiAnswer(id);
  const moments = useMemo(() => (answer ? momentsOf(answer) : []), [answer]);
  const { unit } = KPIS[id];
  const isEmpty = moments.every(({ value, previous }) => value === null && previous === null);
  return (
    <Panel name="chart" heading={say.kpis[id]} aside={<Legend />} isLoading={!answer} isFresh={panel.isFresh} error={panel.error}>
      {isEmpty ? <Empty>{say.chart.empty}</Empty> : <Plot moments={moments} unit={unit} />}
      <DataTable moments={moments} unit={unit} />
    </Panel>
  );
}

function Legend() {
  const say = texts.value;
  return (
    <p class="legend">
      <span class="legend__now">{say.chart.now}</span>
      <span class="legend__open">{say.chart.open}</span>
      <span class="legend__previous">{say.scope.before[period.value]}</span>
    </p>
  );
}

function Plot({ moments, unit }: { moments: Moment[]; unit: Unit }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const daily = period.value === "30d";

  useEffect(() => {
    if (!box.current) return;
    const options = plotOptions(box.current, { formats: formats.value, unit, daily }, setPointed);
    const made = new uPlot(options, plotData(moments), box.current);
    plot.current = made;
    const watched = box.current;
    const observer = new ResizeObserver(() => made.setSize(sizeOf(watched)));
    observer.observe(watched);
    return () => {
      observer.disconnect();
      made.destroy();
      setPointed(null);
    };
  }, [unit, daily, language.value, appearance.value]);

  useEffect(() => plot.current?.setData(plotData(moments)), [moments]);

  const moment = pointed === null ? undefined : moments[pointed];
  return (
    <div
      ref={box}
      class="plot"
      role="group"
      tabIndex={0}
      aria-label={texts.value.chart.hint}
      onKeyDown={(event) => plot.current && step(plot.current, event, moments.length)}
      onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
    >
      {moment && plot.current && (
        <Tooltip moment={moment} unit={unit} left={plot.current.valToPos(moment.time.getTime() / 1000, "x")} width={plot.current.over.clientWidth} />
      )}
    </div>
  );
}

function step(plot: uPlot, event: KeyboardEvent, count: number): void {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const { idx, left = -1 } = plot.cursor;
  const from = left < 0 || idx == null ? (by > 0 ? -1 : count) : idx;
  const to = Math.min(Math.max(from + by, 0), count - 1);
  plot.setCursor({ left: plot.valToPos(plot.data[0][to] ?? 0, "x"), top: 0 });
}

interface TooltipProperties {
  moment: Moment;
  unit: Unit;
  left: number;
  width: number;
}

function Tooltip({ moment, unit, left, width }: TooltipProperties) {
  const say = texts.value.chart;
  const write = (value: number | null) => (value === null ? "–" : formats.value.value(unit, value));
  return (
    <div class={left > width / 2 ? "tooltip tooltip--left" : "tooltip"} style={{ "--left": `${left}px` }} role="status">
      <time>
        {momentName(moment.time)}
        {moment.isOpen && ` · ${say.open}`}
      </time>
      <span class="tooltip__now">
        {say.now} <b>{write(moment.value)}</b>
      </span>
      <span class="tooltip__previous">
        {say.previous} <b>{write(moment.previous)}</b>
      </span>
    </div>
  );
}

/** The same in words, for those who do not see it. */
function DataTable({ moments, unit }: { moments: Moment[]; unit: Unit }) {
  const say = texts.value;
  const write = (value: number | null) => (value === null ? "–" : formats.value.value(unit, value));
  return (
    <div class="hidden" data-testid="chart-data">
      <table>
        <caption>{say.kpis[selected.value]}</caption>
        <thead>
          <tr>
            <th scope="col">{say.chart.time}</th>
            <th scope="col">{say.chart.now}</th>
            <th scope="col">{say.chart.previous}</th>
          </tr>
        </thead>
        <tbody>
          {moments.map(({ time, value, previous }) => (
            <tr key={time.getTime()}>
              <th scope="row">{momentName(time)}</th>
              <td>{write(value)}</td>
              <td>{write(previous)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function momentName(time: Date): string {
  return period.value === "30d" ? formats.value.day(time) : formats.value.dayAndTime(time);
}
