import { PAGES, type Page } from "../pages/names";
import { PERIODS, type Period } from "./questions";

/** What the fragment of the address says: where on the board one is, and perhaps a token to come in with. */
export interface Place {
  page: Page;
  campaign: string;
  period: Period;
  token: string | null;
}

export function readPlace(fragment: string): Place {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ""));
  const page = PAGES.find((known) => known === parameters.get("page"));
  const period = PERIODS.find((known) => known === parameters.get("period"));
  return {
    page: page ?? "overview",
    campaign: parameters.get("campaign") ?? "",
    period: period ?? "24h",
    token: parameters.get("token"),
  };
}

/** Never holds the token: this address is shared. */
export function writePlace({ page, campaign, period }: Omit<Place, "token">): string {
  const parameters = new URLSearchParams();
  if (page !== "overview") parameters.set("page", page);
  if (campaign) parameters.set("campaign", campaign);
  parameters.set("period", period);
  return `#${parameters}`;
}
