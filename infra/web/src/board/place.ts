import { PERIODS, type Period } from "./questions";

/** What the fragment of the address says: where on the board one is, and perhaps a token to come in with. */
export interface Place {
  campaign: string;
  period: Period;
  token: string | null;
}

export function readPlace(fragment: string): Place {
  const parameters = new URLSearchParams(fragment.replace(/^#/, ""));
  const period = PERIODS.find((known) => known === parameters.get("period"));
  return { campaign: parameters.get("campaign") ?? "", period: period ?? "24h", token: parameters.get("token") };
}

/** Never holds the token: this address is shared. */
export function writePlace({ campaign, period }: Pick<Place, "campaign" | "period">): string {
  const parameters = new URLSearchParams();
  if (campaign) parameters.set("campaign", campaign);
  parameters.set("period", period);
  return `#${parameters}`;
}
