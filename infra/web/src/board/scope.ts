import { signal } from "@preact/signals";
import type { Page } from "../pages/names";
import { offerByLink } from "../session/session";
import type { KpiId } from "./kpis";
import { readPlace, writePlace } from "./place";
import type { Period } from "./questions";

export const page = signal<Page>("overview");
export const campaign = signal("");
export const period = signal<Period>("24h");
/** The key figure in the large chart. */
export const selected = signal<KpiId>("sent");
export const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Goes where the address says, and takes the token out of it. */
export function goToAddress(): void {
  const place = readPlace(location.hash);
  page.value = place.page;
  campaign.value = place.campaign;
  period.value = place.period;
  if (place.token === null) return;
  showAddress();
  offerByLink(place.token);
}

export function go(to: { campaign?: string; period?: Period }): void {
  campaign.value = to.campaign ?? campaign.value;
  period.value = to.period ?? period.value;
  showAddress();
}

/** The address of a page, with the campaign and the period of now. */
export function addressOf(of: Page): string {
  return writePlace({ page: of, campaign: campaign.value, period: period.value });
}

function showAddress(): void {
  history.replaceState(null, "", addressOf(page.value));
}
