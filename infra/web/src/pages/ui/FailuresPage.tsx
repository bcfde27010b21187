import { type Scope, campaignIs, propertyIs } from "../../board/questions";
import { formats, texts } from "../../texts/language";
import { Empty } from "../../ui/Panel";
import { eventsOf } from "../evidence";
import { type Failure, type Failures, adviceFor, askFailures } from "../failures";
import { useAnswer } from "../resource";
import { Value } from "./Cells";
import { Fact, Facts } from "./Fact";
import { Part } from "./Part";
import { Sheet } from "./Sheet";

const FAILED = ["message_failed"];

export function FailuresPage({ scope }: { scope: Scope }) {
  const say = texts.value.pages.failures;
  const asked = useAnswer(JSON.stringify(scope), (abort) => askFailures(scope, abort));
  return (
    <Part name="failures" heading={say.heading} asked={asked}>
      {(data) => (data.kinds.length === 0 ? <Empty>{say.empty}</Empty> : <Kinds data={data} scope={scope} />)}
    </Part>
  );
}

function Kinds({ data, scope }: { data: Failures; scope: Scope }) {
  const { pages, errorClasses } = texts.value;
  const say = pages.failures;
  const { failures, final, sent } = data.all;
  const campaign = scope.campaign && campaignIs(scope.campaign);
  const attempts = failures === null || sent === null ? null : failures + sent;
  const nameOf = ({ errorClass }: Failure) => (errorClass === null ? pages.unnamed : (errorClasses.get(errorClass) ?? errorClass));
  const events = (row: Failure, ...more: string[]) =>
    eventsOf(data, nameOf(row), FAILED, campaign, propertyIs("errorClass", row.errorClass), propertyIs("fault", row.fault), ...more);
  const share = (of: number | null, all: number | null) => (of !== null && all ? (100 * of) / all : null);
  const rate = share(failures, attempts);
  return (
    <>
      <Facts>
        <Fact id="failures" name={say.failures} value={failures}>
          <Value cell={{ total: failures }} write={formats.value.count} of={eventsOf(data, say.failures, FAILED, campaign)} />
        </Fact>
        <Fact id="final" name={say.final} value={final}>
          <Value cell={{ total: final }} write={formats.value.count} of={eventsOf(data, say.final, FAILED, campaign, "final")} />
        </Fact>
        <Fact id="attempts" name={say.attempts} value={rate}>
          <Value cell={{ total: rate }} write={formats.value.percent} of={eventsOf(data, say.attempts, [...FAILED, "message_sent"], campaign)} />
        </Fact>
      </Facts>
      <Sheet
        name="failures"
        rows={data.kinds}
        keyOf={({ errorClass, fault }) => `${errorClass ?? ""}/${fault ?? ""}`}
        empty={say.empty}
        note={data.hasMore && pages.most("100")}
        columns={[
          { id: "errorClass", heading: say.errorClass, isText: true, sortBy: nameOf, cell: (row) => <bdi>{nameOf(row)}</bdi> },
          {
            id: "fault",
            heading: say.fault,
            isText: true,
            sortBy: ({ fault }) => fault,
            cell: ({ fault }) => fault !== null && <bdi>{say.faults.get(fault) ?? fault}</bdi>,
          },
          {
            id: "failures",
            heading: say.failures,
            sortBy: (row) => row.failures,
            cell: (row) => <Value cell={{ total: row.failures }} write={formats.value.count} of={events(row)} />,
          },
          {
            id: "final",
            heading: say.final,
            sortBy: (row) => row.final,
            cell: (row) => <Value cell={{ total: row.final }} write={formats.value.count} of={events(row, "final")} />,
          },
          {
            id: "share",
            heading: say.share,
            cell: (row) => <Value cell={{ total: share(row.failures, failures) }} write={formats.value.percent} of={events(row)} />,
          },
          { id: "advice", heading: say.toDo, isText: true, cell: (row) => <Advice of={row} /> },
        ]}
      />
    </>
  );
}

function Advice({ of }: { of: Failure }) {
  const text = adviceFor(texts.value.pages.failures.advice, of);
  return text ? <span class="advice">{text}</span> : null;
}
