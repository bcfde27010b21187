import type { Reason } from "../board/answers";
import type { KpiId } from "../board/kpis";
import type { Period, Step, Trouble } from "../board/questions";
import type { PageTexts } from "./pages/pageTexts";

export type Say<Arguments extends unknown[] = [string]> = (...said: Arguments) => string;

/** Words for what others have named. Never a plain object: one has words for `constructor` that nobody wrote. */
export type Names = ReadonlyMap<string, string>;

/** All that the page says, in one language. */
export interface Texts {
  skip: string;
  signIn: Record<"title" | "intro" | "introEnd" | "label" | "submit" | "stays" | "signedOut" | "not_a_token", string> &
    Record<"expired" | "role" | "server", Say>;
  link: Record<"title" | "about" | "trust" | "account" | "role" | "accept" | "decline", string> & { stay: Say };
  account: { signOut: string; roles: Names };
  state: Record<"label" | "connecting" | "live" | "reconnecting" | "offline" | "now" | "nowLong" | "asOf" | "noNumbers", string> &
    Record<"inSeconds" | "notLive", Say>;
  expiring: { text: Say; submit: string };
  scope: { campaign: string; all: string; period: string; periods: Record<Period, string>; before: Record<Period, string> };
  language: string;
  theme: { label: string; light: string; dark: string; auto: string };
  kpis: Record<KpiId | "heading", string>;
  change: { points: string; versus: Say; none: string; same: string };
  reasons: Record<Reason, string>;
  /** Why a share is more than the whole. */
  overHundred: string;
  chart: Record<"now" | "previous" | "open" | "time" | "hint" | "empty", string>;
  funnel: { heading: string; fromBefore: Say; steps: Record<Step, string> };
  groups: Record<"heading" | "group" | "sent" | "delivery" | "joined" | "empty", string>;
  senders: Record<"heading" | "sender" | "wait" | "happened" | "empty" | "all", string> & {
    times: Say<[string, string]>;
    troubles: Record<Trouble, string>;
  };
  ticker: Record<"heading" | "rateLong" | "pause" | "resume" | "empty", string> &
    Record<"rate" | "waiting" | "skipped" | "lagged" | "waits", Say>;
  alerts: { heading: string; since: Say } & Record<"critical" | "warning" | "info", string>;
  panelError: Say;
  loading: string;
  errorClasses: Names;
  events: Names;
  pages: PageTexts;
}
