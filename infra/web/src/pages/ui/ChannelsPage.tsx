import { type Scope, propertyIs } from "../../board/questions";
import { formats, texts } from "../../texts/language";
import { type Channel, type ChannelMeasure, type Channels, againstUsual, askChannels, viewsWithin } from "../channels";
import { eventsOf } from "../evidence";
import { useAnswer } from "../resource";
import { Value } from "./Cells";
import { EventsOf } from "./EventsOf";
import { Part } from "./Part";
import { type Column, Sheet } from "./Sheet";

const POSTS = ["post_stats_sampled"];
const EVENTS: Record<ChannelMeasure, [string[], string]> = {
  views1: [POSTS, viewsWithin(1)],
  views24: [POSTS, viewsWithin(24)],
  views72: [POSTS, viewsWithin(72)],
  err24: [[...POSTS, "group_stats_sampled"], ""],
  members: [["group_stats_sampled"], ""],
};
const COLUMNS = Object.keys(EVENTS) as ChannelMeasure[];

export function ChannelsPage({ scope }: { scope: Scope }) {
  const { pages } = texts.value;
  const say = pages.channels;
  const { period, timezone } = scope;
  const asked = useAnswer(`${period} ${timezone}`, (abort) => askChannels(scope, abort));
  const measured = (name: ChannelMeasure, data: Channels): Column<Channel> => {
    const [events, condition] = EVENTS[name];
    const write = name === "err24" ? formats.value.percent : formats.value.count;
    return {
      id: name,
      heading: say[name],
      sortBy: ({ cells }) => cells[name].total,
      cell: (channel) => {
        const of = eventsOf(data, `${channel.name || channel.id} · ${say[name]}`, events, propertyIs("groupId", channel.id), condition);
        return <Value cell={channel.cells[name]} write={write} of={of} />;
      },
    };
  };
  return (
    <Part name="channels" heading={say.heading} goesBy={pages.anyCampaign} asked={asked}>
      {(data) => (
        <Sheet<Channel>
          name="channels"
          rows={data.channels}
          keyOf={({ id }) => id}
          empty={pages.send(say.empty)}
          note={data.hasMore && pages.most("100")}
          columns={[
            {
              id: "channel",
              heading: say.channel,
              isText: true,
              sortBy: ({ id, name }) => name || id,
              cell: ({ id, name }) => (
                <>
                  <bdi>{name || id}</bdi>
                  {name && <bdi class="quiet second-line">{id}</bdi>}
                </>
              ),
            },
            ...COLUMNS.slice(0, 3).map((name) => measured(name, data)),
            {
              id: "usual",
              heading: say.usual,
              sortBy: ({ cells, usual }) => againstUsual(cells.views24.total, usual),
              cell: (channel) => <Against channel={channel} data={data} />,
            },
            ...COLUMNS.slice(3).map((name) => measured(name, data)),
          ]}
        />
      )}
    </Part>
  );
}

/** Posts differ by some percent from one to the next. */
const WORTH_A_LOOK = 0.1;
const USUAL_MS = 30 * 86_400_000;

/** The mean of the period against what the posts of 30 days usually reach. */
function Against({ channel: { id, name, cells, usual }, data }: { channel: Channel; data: Channels }) {
  const say = texts.value.pages.channels;
  const change = againstUsual(cells.views24.total, usual);
  if (!usual || change === null) return null;
  const text = formats.value.change({ as: "fraction", amount: change }, "");
  const tone = Math.abs(change) < WORTH_A_LOOK ? "" : change > 0 ? "change change--good" : "change change--bad";
  const range = { from: new Date(Date.parse(data.to) - USUAL_MS).toISOString(), to: data.to };
  const of = eventsOf(range, `${name || id} · ${say.usual}`, POSTS, propertyIs("groupId", id), viewsWithin(24));
  return (
    <>
      <EventsOf of={of} value={change}>
        <span class={tone}>{text}</span>
      </EventsOf>
      <span class="quiet second-line">{say.posts(formats.value.count(usual.median), formats.value.count(usual.posts))}</span>
    </>
  );
}
