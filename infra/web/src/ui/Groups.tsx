import { totalsBy } from "../board/answers";
import { panels } from "../board/board";
import { SHOWN_ROWS } from "../board/questions";
import { campaign, period } from "../board/scope";
import { formats, texts } from "../texts/language";
import { Figure } from "./Figure";
import { Empty, Panel } from "./Panel";

export function Groups() {
  const say = texts.value.groups;
  const { answers, isFresh, error } = panels.groups.value;
  const [sent, delivery, joined] = [0, 1, 2].map((index) => totalsBy(answers?.[index], "groupId"));
  const rows = [...(sent ?? [])].filter(([, total]) => total !== null && total > 0);
  rows.sort(([, a], [, b]) => (b ?? 0) - (a ?? 0));
  const shown = rows.slice(0, SHOWN_ROWS);
  const write = (value: number | null | undefined, as: (value: number) => string) => (value == null ? "–" : as(value));
  const of = `${campaign.value} ${period.value}`;
  return (
    <Panel name="groups" heading={say.heading} isLoading={!answers} isFresh={isFresh} error={error}>
      {shown.length === 0 ? (
        <Empty>{say.empty}</Empty>
      ) : (
        <div class="scrolls">
          <table data-testid="groups">
            <thead>
              <tr>
                <th scope="col">{say.group}</th>
                <th scope="col">{say.sent}</th>
                <th scope="col">{say.delivery}</th>
                <th scope="col">{say.joined}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map(([group, total]) => (
                <tr key={group} data-key={group} data-sent={total ?? ""}>
                  <th scope="row" dir="auto" title={group}>
                    {group}
                  </th>
                  <td>
                    <Figure text={write(total, formats.value.count)} of={of} />
                  </td>
                  <td>
                    <Figure text={write(delivery?.get(group), formats.value.percent)} of={of} />
                  </td>
                  <td>
                    <Figure text={write(joined?.get(group), formats.value.count)} of={of} />
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
