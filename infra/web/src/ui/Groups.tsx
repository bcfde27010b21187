import { totalsBy } from "../board/answers";
import { panels } from "../board/board";
import { SHOWN_ROWS } from "../board/questions";
import { campaign, period } from "../board/scope";
import { formats, texts } from "../texts/language";
import { Figure } from "./Figure";
import { Listing } from "./Listing";
import { OverHundred } from "./OverHundred";

export function Groups() {
  const say = texts.value.groups;
  const { answers, isFresh, error } = panels.groups.value;
  const [sent, delivery, joined] = [0, 1, 2].map((index) => totalsBy(answers?.[index], "groupId"));
  // Where all groups are told that anybody joined, nobody has joined the others.
  const unlisted = answers?.[2]?.series.some((series) => series.other) ? null : 0;
  const rows = [...(sent ?? [])].filter(([, total]) => total !== null && total > 0);
  rows.sort(([, a], [, b]) => (b ?? 0) - (a ?? 0));
  const shown = rows.slice(0, SHOWN_ROWS);
  const write = (value: number | null | undefined, as: (value: number) => string) => (value == null ? "–" : as(value));
  const of = `${campaign.value} ${period.value}`;
  const listed = shown.map(([group, total]) => (
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
        <Figure text={write(joined?.get(group) ?? unlisted, formats.value.count)} of={of} />
      </td>
    </tr>
  ));
  return (
    <Listing
      name="groups"
      heading={say.heading}
      isLoading={!answers}
      isFresh={isFresh}
      error={error}
      columns={[say.group, say.sent, say.delivery, say.joined].map((heading) => ({ heading }))}
      empty={say.empty}
      rows={listed}
      note={<OverHundred shares={shown.map(([group]) => delivery?.get(group))} />}
    />
  );
}
