import { texts } from "../texts/language";

/** What is rounded to 100.0 % looks like no more than the whole. */
const MORE_THAN_ALL = 100.05;

export const isOverHundred = (percent: number | null | undefined): boolean => percent != null && percent >= MORE_THAN_ALL;

/** Why a share is more than the whole, below the panel that shows one. */
export function OverHundred({ shares }: { shares: (number | null | undefined)[] }) {
  if (!shares.some(isOverHundred)) return null;
  return (
    <p class="panel__note" data-testid="over-hundred">
      {texts.value.overHundred}
    </p>
  );
}
