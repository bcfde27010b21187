import { totalsBy } from "../board/answers";
import { panels } from "../board/board";
import { SHOWN_ROWS, TROUBLES, type Trouble } from "../board/questions";
import { campaign } from "../board/scope";
import { formats, texts } from "../texts/language";
import { Listing } from "./Listing";

const GRAVE: Trouble[] = ["sender_banned", "sender_session_lost", "sender_restricted"];

/** The gravest come first. */
const BADGES = [...TROUBLES].sort((a, b) => Number(GRAVE.includes(b)) - Number(GRAVE.includes(a)));

export function Senders() {
  const say = texts.value.senders;
  const { answers, isFresh, error } = panels.senders.value;
  const [scores, waits, ...happened] = (answers ?? []).map((answer) => totalsBy(answer, "senderId"));
  const worst = [...(scores ?? [])].filter(([, score]) => score !== null && score > 0);
  worst.sort(([, a], [, b]) => (b ?? 0) - (a ?? 0));
  const timesOf = (trouble: Trouble, sender: string) => happened[TROUBLES.indexOf(trouble)]?.get(sender) ?? 0;
  const rows = worst.slice(0, SHOWN_ROWS).map(([sender]) => (
    <tr key={sender} data-key={sender}>
      <th scope="row" title={sender}>
        <bdi>{sender}</bdi>
      </th>
      <td>{waits?.get(sender) ? formats.value.duration(waits.get(sender) ?? 0) : "–"}</td>
      <td class="senders__happened">
        {BADGES.map((trouble) => (
          <Badge key={trouble} trouble={trouble} times={timesOf(trouble, sender)} />
        ))}
      </td>
    </tr>
  ));
  return (
    <Listing
      name="senders"
      heading={say.heading}
      aside={campaign.value && <span class="panel__aside">{say.all}</span>}
      isLoading={!answers}
      isFresh={isFresh}
      error={error}
      columns={[{ heading: say.sender }, { heading: say.wait }, { heading: say.happened, class: "senders__happened" }]}
      empty={say.empty}
      rows={rows}
    />
  );
}

function Badge({ trouble, times }: { trouble: Trouble; times: number }) {
  const say = texts.value.senders;
  if (times <= 0) return null;
  const what = say.troubles[trouble];
  return (
    <span class={GRAVE.includes(trouble) ? "badge badge--grave" : "badge"}>
      {times > 1 ? say.times(what, formats.value.count(times)) : what}
    </span>
  );
}
