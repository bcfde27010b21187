import type { ComponentChildren } from "preact";
import { quoted } from "../../board/questions";
import { formats, texts } from "../../texts/language";
import { Empty } from "../../ui/Panel";
import type { Evidence } from "../evidence";
import { INCIDENTS, type Pool, SAMPLES, STATES, type Sender, type State, WAITS, askPool, byTrouble, leftOf, sharesBy } from "../pool";
import { useAnswer } from "../resource";
import { EventsOf } from "./EventsOf";
import { Fact, Facts } from "./Fact";
import { Part } from "./Part";
import { Sheet } from "./Sheet";

const TONES: Record<State, string> = {
  active: "badge badge--good",
  limited: "badge",
  frozen: "badge badge--grave",
  banned: "badge badge--grave",
  logged_out: "badge badge--grave",
};

/** A filter holds so many values. */
const MOST_NAMED = 100;

export function SendersPage() {
  const { pages } = texts.value;
  const say = pages.pool;
  const asked = useAnswer("pool", askPool);
  const goesBy = `${pages.anyPeriod} · ${pages.anyCampaign}`;
  const part = (name: string, heading: string, show: (pool: Pool) => ComponentChildren) => (
    <Part name={name} heading={heading} goesBy={name === "pool" ? goesBy : undefined} asked={asked}>
      {(pool) => (pool.senders.length === 0 ? <Empty>{pages.send(say.empty)}</Empty> : show(pool))}
    </Part>
  );
  return (
    <>
      {part("pool", say.heading, (pool) => <States pool={pool} />)}
      {asked.data?.senders.length !== 0 && (
        <>
          {part("pool-senders", say.bySender, (pool) => <SenderSheet pool={pool} />)}
          <div class="halves">
            {part("pool-proxies", say.byProxy, (pool) => <ShareSheet pool={pool} by="proxy" />)}
            {part("pool-countries", say.byCountry, (pool) => <ShareSheet pool={pool} by="country" />)}
          </div>
        </>
      )}
    </>
  );
}

function eventsOf(senders: Sender[], pool: Pool, title: string, events = [...SAMPLES, ...INCIDENTS, ...WAITS]): Evidence {
  const names = senders.slice(0, MOST_NAMED).map(({ id }) => quoted(id));
  return { title, events, from: pool.from, filter: `senderId in (${names.join(", ")})` };
}

function States({ pool }: { pool: Pool }) {
  const say = texts.value.pages.pool;
  const left = leftOf(pool.senders);
  const active = pool.senders.filter(({ state }) => state === "active");
  return (
    <Facts>
      {STATES.map((state) => {
        const of = pool.senders.filter((sender) => sender.state === state);
        const count = formats.value.count(of.length);
        const isLoss = of.some((sender) => !isUsable(sender));
        return (
          <Fact key={state} id={state} name={say.states[state]} value={of.length} tone={isLoss ? "bad" : undefined}>
            {of.length === 0 ? (
              count
            ) : (
              <EventsOf of={eventsOf(of, pool, say.states[state])} value={of.length}>
                {count}
              </EventsOf>
            )}
          </Fact>
        );
      })}
      <Fact id="left" name={say.leftNow} value={left} note={say.leftNote}>
        {active.length === 0 ? (
          formats.value.count(left)
        ) : (
          <EventsOf of={eventsOf(active, pool, say.leftNow, SAMPLES)} value={left}>
            {formats.value.count(left)}
          </EventsOf>
        )}
      </Fact>
    </Facts>
  );
}

function SenderSheet({ pool }: { pool: Pool }) {
  const { pages } = texts.value;
  const say = pages.pool;
  const time = (at: number | null) => (at === null ? null : <time dateTime={new Date(at).toISOString()}>{formats.value.dayAndTime(new Date(at))}</time>);
  return (
    <Sheet
      name="pool"
      rows={[...pool.senders].sort(byTrouble)}
      keyOf={({ id }) => id}
      empty={pages.send(say.empty)}
      columns={[
        { id: "sender", heading: say.sender, isText: true, sortBy: ({ id }) => id, cell: ({ id }) => <bdi>{id}</bdi> },
        {
          id: "state",
          heading: say.state,
          isText: true,
          sortBy: ({ state }) => STATES.indexOf(state),
          cell: (sender) => (
            <EventsOf of={eventsOf([sender], pool, sender.id)} value={sender.state}>
              <span class={TONES[sender.state]}>{say.states[sender.state]}</span>
            </EventsOf>
          ),
        },
        { id: "until", heading: say.until, sortBy: ({ until }) => until, cell: (sender) => <Until sender={sender} /> },
        {
          id: "left",
          heading: say.left,
          sortBy: (sender) => (isUsable(sender) ? sender.left : null),
          cell: (sender) =>
            sender.left !== null &&
            isUsable(sender) && (
              <EventsOf of={eventsOf([sender], pool, `${sender.id} · ${say.left}`, SAMPLES)} value={sender.left}>
                {formats.value.count(sender.left)}
              </EventsOf>
            ),
        },
        { id: "sent", heading: say.sent, sortBy: ({ sent }) => sent, cell: (sender) => <Sent sender={sender} pool={pool} /> },
        { id: "proxy", heading: say.proxy, isText: true, sortBy: ({ proxy }) => proxy || null, cell: ({ proxy }) => <bdi>{proxy}</bdi> },
        { id: "country", heading: say.country, isText: true, sortBy: ({ country }) => country || null, cell: ({ country }) => <bdi>{country}</bdi> },
        { id: "sampled", heading: say.sampled, sortBy: ({ sampledAt }) => sampledAt, cell: ({ sampledAt }) => time(sampledAt) },
      ]}
    />
  );
}

/** What a lost or frozen account might have sent is of no use. */
const isUsable = ({ state }: Sender) => state === "active" || state === "limited";

function Sent({ sender, pool }: { sender: Sender; pool: Pool }) {
  const say = texts.value.pages.pool;
  const { id, sent, limit } = sender;
  if (sent === null) return null;
  const count = formats.value.count(sent);
  return (
    <EventsOf of={eventsOf([sender], pool, `${id} · ${say.sent}`, SAMPLES)} value={sent}>
      {limit === null ? count : say.of(count, formats.value.count(limit))}
    </EventsOf>
  );
}

function Until({ sender: { state, until } }: { sender: Sender }) {
  if (until !== null) return <time dateTime={new Date(until).toISOString()}>{formats.value.dayAndTime(new Date(until))}</time>;
  return state === "limited" || state === "frozen" ? <span class="quiet">{texts.value.pages.pool.unknown}</span> : null;
}

function ShareSheet({ pool, by }: { pool: Pool; by: "proxy" | "country" }) {
  const { pages } = texts.value;
  const say = pages.pool;
  const count = (of: Sender[], title: string, number = of.length, events?: string[]) =>
    of.length === 0 ? (
      formats.value.count(0)
    ) : (
      <EventsOf of={eventsOf(of, pool, title, events)} value={number}>
        {formats.value.count(number)}
      </EventsOf>
    );
  return (
    <Sheet
      name={by === "proxy" ? "pool-proxies" : "pool-countries"}
      rows={sharesBy(pool.senders, by)}
      keyOf={({ name }) => name}
      empty=""
      columns={[
        {
          id: "name",
          heading: say[by],
          isText: true,
          sortBy: ({ name }) => name,
          cell: ({ name }) => (name ? <bdi>{name}</bdi> : <span class="quiet">{pages.unnamed}</span>),
        },
        { id: "all", heading: say.all, sortBy: ({ all }) => all.length, cell: ({ all, name }) => count(all, name || pages.unnamed) },
        {
          id: "out",
          heading: say.out,
          sortBy: ({ all, active }) => all.length - active,
          cell: ({ all, name }) => count(all.filter(({ state }) => state !== "active"), `${name || pages.unnamed} · ${say.out}`),
        },
        {
          id: "left",
          heading: say.left,
          sortBy: ({ left }) => left,
          cell: ({ all, name, left }) => count(all, `${name || pages.unnamed} · ${say.left}`, left, SAMPLES),
        },
      ]}
    />
  );
}
