import { totalsBy } from "../board/answers";
import { panels } from "../board/board";
import { SHOWN_ROWS, TROUBLES, type Trouble } from "../board/questions";
import { campaign } from "../board/scope";
import { formats, texts } from "../texts/language";
import { Empty, Panel } from "./Panel";

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
  return (
    <Panel
      name="senders"
      heading={say.heading}
      aside={campaign.value && <span class="panel__aside">{say.all}</span>}
      isLoading={!answers}
      isFresh={isFresh}
      error={error}
    >
      {worst.length === 0 ? (
        <Empty>{say.empty}</Empty>
      ) : (
        <div class="scrolls">
          <table data-testid="senders">
            <thead>
              <tr>
                <th scope="col">{say.sender}</th>
                <th scope="col">{say.wait}</th>
                <th scope="col" class="senders__happened">
                  {say.happened}
                </th>
              </tr>
            </thead>
            <tbody>
              {worst.slice(0, SHOWN_ROWS).map(([sender]) => (
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
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
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
