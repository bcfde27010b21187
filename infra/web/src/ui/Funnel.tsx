import { panels } from "../board/board";
import { STEPS, sharesOf } from "../board/questions";
import { campaign, period } from "../board/scope";
import { formats, texts } from "../texts/language";
import { Figure } from "./Figure";
import { OverHundred } from "./OverHundred";
import { Panel } from "./Panel";

export function Funnel() {
  const say = texts.value.funnel;
  const { answers, isFresh, error } = panels.funnel.value;
  const totals = STEPS.map((_, index) => answers?.[index]?.series[0]?.total ?? null);
  const shares = sharesOf(totals);
  const largest = Math.max(1, ...totals.map((total) => total ?? 0));
  return (
    <Panel name="funnel" heading={say.heading} isLoading={!answers} isFresh={isFresh} error={error}>
      <ol class="funnel__steps">
        {STEPS.map((step, index) => {
          const total = totals[index] ?? null;
          return (
            <li key={step} class="funnel__step" data-testid={`funnel-${step}`} data-value={total ?? ""}>
              <span class="funnel__name">{say.steps[step]}</span>
              <span class="funnel__bar" aria-hidden="true">
                <span style={{ width: total ? `max(1px, ${(100 * total) / largest}%)` : 0 }} />
              </span>
              <span class="funnel__count">
                <Figure text={total === null ? "–" : formats.value.count(total)} of={`${campaign.value} ${period.value}`} />
              </span>
              <Share percent={shares[index] ?? null} />
            </li>
          );
        })}
      </ol>
      <OverHundred shares={shares} />
    </Panel>
  );
}

function Share({ percent }: { percent: number | null }) {
  if (percent === null) return <span class="funnel__share" />;
  const share = formats.value.percent(percent);
  const means = texts.value.funnel.fromBefore(share);
  return (
    <span class="funnel__share" title={means}>
      <span aria-hidden="true">{share}</span>
      <span class="hidden">{means}</span>
    </span>
  );
}
