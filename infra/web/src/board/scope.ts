import { signal } from "@preact/signals";
import { offerByLink } from "../session/session";
import type { KpiId } from "./kpis";
import { readPlace, writePlace } from "./place";
import type { Period } from "./questions";

export const campaign = signal("");
export const period = signal<Period>("24h");
/** The key figure in the large chart. */
export const selected = signal<KpiId>("sent");
export const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Goes where the address says, and takes the token out of it. */
export function goToAddress(): void {
  const place = readPlace(location.hash);
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

function showAddress(): void {
  history.replaceState(null, "", writePlace({ campaign: campaign.value, period: period.value }));
}
