import { type Scope, campaignIs, propertyIs } from "../../board/questions";
import { formats, texts } from "../../texts/language";
import { eventsOf } from "../evidence";
import { STAYED_DAYS, type Stayed, type StayedBy, type Staying, askStaying } from "../people";
import { useAnswer } from "../resource";
import { EventsOf } from "./EventsOf";
import { Part } from "./Part";
import { type Column, Sheet } from "./Sheet";

export function StayingPage({ scope }: { scope: Scope }) {
  const say = texts.value.pages.staying;
  return (
    <>
      <By by="inviteLinkId" name="staying-links" heading={say.byLink} first={say.link} scope={scope} />
      <By by="campaignId" name="staying-campaigns" heading={say.byCampaign} first={say.campaign} scope={scope} />
    </>
  );
}

interface Properties {
  by: StayedBy;
  name: string;
  heading: string;
  first: string;
  scope: Scope;
}

function By({ by, name, heading, first, scope }: Properties) {
  const { pages } = texts.value;
  const say = pages.staying;
  const { campaign, timezone } = scope;
  const asked = useAnswer(`${by} ${campaign} ${timezone}`, (abort) => askStaying(by, scope, abort));
  const events = (data: Staying, row: Stayed, names: string[]) => {
    // Who left may not say the campaign of the join: the condition is of the joins, as in the question.
    const ofCampaign = campaign && names.length === 1 ? campaignIs(campaign) : "";
    return eventsOf(data, row.name ?? say.none, names, ofCampaign, propertyIs(by, row.name));
  };
  return (
    <Part name={name} heading={heading} goesBy={pages.lastDays("90")} asked={asked}>
      {(data) => (
        <Sheet<Stayed>
          name={name}
          rows={data.rows}
          keyOf={(row) => row.name ?? ""}
          empty={pages.send(say.empty)}
          note={data.hasMore && pages.most("50")}
          columns={[
            {
              id: "name",
              heading: first,
              isText: true,
              sortBy: (row) => row.name,
              cell: (row) => (row.name === null ? <span class="quiet">{say.none}</span> : <bdi>{row.name}</bdi>),
            },
            {
              id: "joined",
              heading: say.joined,
              sortBy: ({ people }) => people,
              cell: (row) => (
                <EventsOf of={events(data, row, ["member_joined"])} value={row.people}>
                  {formats.value.count(row.people)}
                </EventsOf>
              ),
            },
            ...STAYED_DAYS.map((days): Column<Stayed> => ({
              id: `after${days}`,
              heading: say.after[days],
              sortBy: (row) => periodOf(row, days)?.share ?? null,
              cell: (row) => <After row={row} days={days} of={events(data, row, ["member_joined", "member_left"])} />,
            })),
          ]}
        />
      )}
    </Part>
  );
}

const periodOf = ({ periods }: Stayed, days: number) => periods.find((period) => period.days === days);

function After({ row, days, of }: { row: Stayed; days: number; of: ReturnType<typeof eventsOf> }) {
  const say = texts.value.pages.staying;
  const period = periodOf(row, days);
  if (!period || period.share === null) return <span class="quiet">{say.early}</span>;
  return (
    <>
      <EventsOf of={of} value={period.share}>
        {formats.value.percent(period.share)}
      </EventsOf>
      <span class="quiet second-line">{say.of(formats.value.count(period.people), formats.value.count(period.of))}</span>
    </>
  );
}
