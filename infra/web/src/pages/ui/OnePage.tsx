import type { ComponentType } from "preact";
import type { Scope } from "../../board/questions";
import { campaign, period, timezone } from "../../board/scope";
import { AlertStrip, Expiring } from "../../ui/Notices";
import type { Page } from "../names";
import { AnswersPage } from "./AnswersPage";
import { CampaignsPage } from "./CampaignsPage";
import { ChannelsPage } from "./ChannelsPage";
import { FailuresPage } from "./FailuresPage";
import { MoneyPage } from "./MoneyPage";
import { PlacementsPage } from "./PlacementsPage";
import { SendersPage } from "./SendersPage";
import { StayingPage } from "./StayingPage";

const PAGES = {
  money: MoneyPage,
  campaigns: CampaignsPage,
  senders: SendersPage,
  failures: FailuresPage,
  placements: PlacementsPage,
  channels: ChannelsPage,
  staying: StayingPage,
  answers: AnswersPage,
} satisfies Record<Exclude<Page, "overview">, unknown>;

/** A page beside the board. Its numbers are asked for, not streamed. */
export function OnePage({ of }: { of: keyof typeof PAGES }) {
  const Shown: ComponentType<{ scope: Scope }> = PAGES[of];
  return (
    <main id="board" class="board page" tabIndex={-1} data-page={of}>
      <AlertStrip />
      <Expiring />
      <Shown key={of} scope={{ campaign: campaign.value, period: period.value, timezone }} />
    </main>
  );
}
