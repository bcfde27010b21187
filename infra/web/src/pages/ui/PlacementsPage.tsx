import { type Scope, campaignIs, propertyIs } from "../../board/questions";
import { formats, texts } from "../../texts/language";
import { eventsOf } from "../evidence";
import { type Placement, type PlacementMeasure, type Placements, askPlacements } from "../placements";
import { useAnswer } from "../resource";
import { Nothing, Value, moneyIn } from "./Cells";
import { Part } from "./Part";
import { type Column, Sheet } from "./Sheet";

/** What each number is made of. */
const EVENTS: Record<PlacementMeasure, [string[], string]> = {
  price: [["cost_recorded"], "kind = placement"],
  views: [["post_stats_sampled"], "ageMinutes <= 1440"],
  cpm: [["cost_recorded", "post_stats_sampled"], ""],
  clicks: [["link_clicked"], "not botSuspected"],
  joins: [["member_joined"], ""],
  gone1: [["member_left"], "daysSinceJoin < 1"],
  gone7: [["member_left"], "daysSinceJoin < 7"],
  perStayed: [["cost_recorded", "member_joined", "member_left"], ""],
};

const COLUMNS = Object.keys(EVENTS) as PlacementMeasure[];
const AMOUNTS: PlacementMeasure[] = ["price", "cpm", "perStayed"];

export function PlacementsPage({ scope }: { scope: Scope }) {
  const { pages } = texts.value;
  const say = pages.placements;
  const asked = useAnswer(JSON.stringify(scope), (abort) => askPlacements(scope, abort));
  return (
    <Part name="placements" heading={say.heading} asked={asked}>
      {(data) => (
        <Sheet<Placement>
          name="placements"
          rows={data.placements}
          keyOf={({ id }) => id}
          empty={pages.send(say.empty)}
          note={data.hasMore && pages.most("100")}
          columns={[
            { id: "placement", heading: say.placement, isText: true, sortBy: ({ id }) => id, cell: ({ id }) => <bdi>{id}</bdi> },
            ...COLUMNS.map((name): Column<Placement> => ({
              id: name,
              heading: say[name],
              sortBy: ({ cells }) => cells[name].total,
              cell: (row) => <Measured row={row} name={name} data={data} scope={scope} />,
            })),
          ]}
        />
      )}
    </Part>
  );
}

interface Properties {
  row: Placement;
  name: PlacementMeasure;
  data: Placements;
  scope: Scope;
}

function Measured({ row: { id, cells, currencies }, name, data, scope }: Properties) {
  const say = texts.value.pages;
  const [events, condition] = EVENTS[name];
  const of = eventsOf(data, `${id} · ${say.placements[name]}`, events, scope.campaign && campaignIs(scope.campaign), propertyIs("placementId", id), condition);
  if (!AMOUNTS.includes(name)) return <Value cell={cells[name]} write={formats.value.count} of={of} />;
  if (currencies.length > 1) return <Nothing because={say.severalCurrencies} />;
  const [currency] = currencies;
  // Nothing was paid: no currency, and no price either.
  return currency === undefined ? <Nothing because={texts.value.reasons.no_values} /> : <Value cell={cells[name]} write={moneyIn(currency)} of={of} />;
}
