import { panels } from "../board/board";
import { totalsBy } from "../board/answers";
import { PERIODS } from "../board/questions";
import { campaign, go, period } from "../board/scope";
import { session, signOut } from "../session/session";
import { texts } from "../texts/language";
import { Brand } from "./Brand";
import { ConnectionState } from "./ConnectionState";
import { Preferences } from "./Preferences";
import { Segmented } from "./Segmented";

export function Header() {
  const say = texts.value;
  return (
    <header class="header">
      <Brand />
      <CampaignPicker />
      <Segmented
        id="period"
        label={say.scope.period}
        choices={PERIODS.map((value) => ({ value, label: say.scope.periods[value] }))}
        chosen={period.value}
        choose={(chosen) => go({ period: chosen })}
      />
      <ConnectionState />
      <Preferences />
      <Account />
    </header>
  );
}

function CampaignPicker() {
  const say = texts.value.scope;
  const known = [...totalsBy(panels.campaigns.value.answers?.[0], "campaignId").keys()].filter((name) => name !== "");
  const names = known.includes(campaign.value) || !campaign.value ? known : [campaign.value, ...known];
  return (
    <select
      class="campaign"
      data-testid="campaign"
      aria-label={say.campaign}
      value={campaign.value}
      onChange={(event) => go({ campaign: event.currentTarget.value })}
    >
      <option value="">{say.all}</option>
      {names.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

function Account() {
  const say = texts.value.account;
  const claims = session.value?.claims;
  if (!claims) return null;
  return (
    <div class="account">
      <span class="account__who" title={claims.accountId}>
        <bdi>{claims.accountId}</bdi>{" "}
        <span class="account__role">{say.roles.get(claims.role) ?? claims.role}</span>
      </span>
      <button type="button" class="button button--quiet" onClick={() => signOut()}>
        {say.signOut}
      </button>
    </div>
  );
}
