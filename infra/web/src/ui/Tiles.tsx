import { useEffect } from "preact/hooks";
import type { Series } from "../board/answers";
import { KPIS, KPI_IDS, type KpiId, type Unit, changeOf, momentsOf } from "../board/kpis";
import { campaign, period, selected } from "../board/scope";
import { formats, texts } from "../texts/language";
import { Figure } from "./Figure";
import { isOverHundred } from "./OverHundred";
import { Sparkline } from "./Sparkline";
import { kpiAnswer } from "./kpiAnswer";

export function Tiles() {
  const say = texts.value;
  return (
    <section aria-labelledby="tiles-heading">
      <header class="tiles__header">
        <h2 id="tiles-heading">{say.kpis.heading}</h2>
        <p>{say.change.versus(say.scope.before[period.value])}</p>
      </header>
      <div class="tiles">
        {KPI_IDS.map((id) => (
          <Tile key={id} id={id} />
        ))}
      </div>
    </section>
  );
}

function Tile({ id }: { id: KpiId }) {
  const say = texts.value;
  const { unit } = KPIS[id];
  const { panel, answer } = kpiAnswer(id);
  const series = answer?.series[0];
  const total = series?.total ?? null;
  useEffect(() => {
    if (total !== null) markFirstNumber();
  }, [total !== null]);
  return (
    <button
      type="button"
      class="tile"
      data-testid={`tile-${id}`}
      data-value={total ?? ""}
      data-fresh={panel.isFresh}
      aria-pressed={selected.value === id}
      aria-busy={!answer && !panel.error}
      onClick={() => (selected.value = id)}
    >
      <span class="tile__name">{say.kpis[id]}</span>
      {answer && series ? (
        <>
          <span class="tile__value">
            <Figure text={total === null ? "–" : formats.value.value(unit, total)} of={`${campaign.value} ${period.value}`} />
          </span>
          <span class="tile__change">{total === null ? say.reasons[series.reason ?? "no_values"] : <ChangeMark id={id} series={series} unit={unit} />}</span>
          {unit === "percent" && isOverHundred(total) && <span class="tile__note" data-testid="over-hundred">{say.overHundred}</span>}
          <Sparkline moments={momentsOf(answer).filter(({ isOpen }) => !isOpen)} />
        </>
      ) : panel.error ? (
        <span class="tile__change" title={panel.error.code}>
          {say.panelError(panel.error.detail)}
        </span>
      ) : (
        <span class="skeleton">
          <span class="skeleton__line" />
        </span>
      )}
    </button>
  );
}

/** Says by an arrow, a sign and words which way it went; colour only adds whether that is good. */
function ChangeMark({ id, series, unit }: { id: KpiId; series: Series; unit: Unit }) {
  const say = texts.value;
  const versus = say.change.versus(say.scope.before[period.value]);
  const change = changeOf(unit, series);
  if (!change) return <>{say.change.none}</>;
  const text = formats.value.change(change, say.change.points);
  const direction = text.startsWith("+") ? "up" : /^[-−]/.test(text) ? "down" : "same";
  if (direction === "same") return <span title={versus}>{say.change.same}</span>;
  const isGood = (direction === "up") === KPIS[id].upIsGood;
  return (
    <span class={`change change--${isGood ? "good" : "bad"}`} title={versus}>
      <svg class={`change__arrow change__arrow--${direction}`} viewBox="0 0 8 8" aria-hidden="true">
        <path d="M4 1l3.5 6h-7z" />
      </svg>
      {text}
      <span class="hidden"> {versus}</span>
    </span>
  );
}

let hasNumber = false;

function markFirstNumber(): void {
  if (!hasNumber) performance.mark("first-number");
  hasNumber = true;
}
