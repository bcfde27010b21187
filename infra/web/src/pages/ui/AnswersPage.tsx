import { type Scope, campaignIs } from "../../board/questions";
import { formats, texts } from "../../texts/language";
import { Empty } from "../../ui/Panel";
import { eventsOf } from "../evidence";
import { type Answers, askAnswers } from "../people";
import { useAnswer } from "../resource";
import { Value } from "./Cells";
import { Fact, Facts } from "./Fact";
import { Part } from "./Part";

const REPLY = ["reply_received"];
const WITH_ANSWERS = [...REPLY, "message_sent"];

export function AnswersPage({ scope }: { scope: Scope }) {
  const { pages } = texts.value;
  const say = pages.answers;
  const asked = useAnswer(JSON.stringify(scope), (abort) => askAnswers(scope, abort));
  return (
    <>
      <Part name="answers" heading={say.heading} asked={asked}>
        {(data) => (data.replies.replies.total === 0 ? <Empty>{pages.send(say.empty)}</Empty> : <Replies data={data} scope={scope} />)}
      </Part>
      <Part name="stops" heading={say.stops} asked={asked}>
        {(data) => (data.stopped.first === 0 ? <Empty>{say.noStops}</Empty> : <Stops data={data} scope={scope} />)}
      </Part>
    </>
  );
}

function Replies({ data, scope }: { data: Answers; scope: Scope }) {
  const { pages, reasons } = texts.value;
  const say = pages.answers;
  const { count, percent, duration } = formats.value;
  const { first, then, medianSeconds } = data.replied;
  const campaign = scope.campaign && campaignIs(scope.campaign);
  const { positive, rated, rate } = data.replies;
  const events = (title: string, names: string[], ...more: string[]) => eventsOf(data, title, names, campaign, ...more);
  // Of those whose mood is told. Where none is, nothing is known.
  const share = positive.total !== null && rated.total ? (100 * positive.total) / rated.total : null;
  return (
    <Facts>
      <Fact id="waiting" name={say.waiting} value={first - then} note={say.waitingNote}>
        <Value cell={{ total: first - then }} write={count} of={events(say.waiting, REPLY)} />
      </Fact>
      <Fact id="replied" name={say.replied} value={first}>
        <Value cell={{ total: first }} write={count} of={events(say.replied, REPLY)} />
      </Fact>
      <Fact id="answered" name={say.answered} value={then}>
        <Value cell={{ total: then }} write={count} of={eventsOf(data, say.answered, WITH_ANSWERS)} />
      </Fact>
      {medianSeconds !== null && (
        <Fact id="median" name={say.median} value={medianSeconds}>
          <Value cell={{ total: medianSeconds }} write={duration} of={eventsOf(data, say.median, WITH_ANSWERS)} />
        </Fact>
      )}
      <Fact id="positive" name={say.positive} value={share} note={rated.total ? say.of(count(positive.total ?? 0), count(rated.total)) : undefined}>
        <Value cell={{ total: share }} write={percent} of={events(say.positive, REPLY, "sentiment exists")} />
      </Fact>
      <Fact id="positive-rate" name={say.positiveRate} value={rate.total} note={rate.total === null ? reasons[rate.reason ?? "no_values"] : undefined}>
        <Value cell={rate} write={percent} of={events(say.positiveRate, [...REPLY, "message_delivered"])} />
      </Fact>
    </Facts>
  );
}

function Stops({ data, scope }: { data: Answers; scope: Scope }) {
  const say = texts.value.pages.answers;
  const { count } = formats.value;
  const { first, then } = data.stopped;
  const campaign = scope.campaign && campaignIs(scope.campaign);
  return (
    <Facts>
      <Fact id="stopped" name={say.stopped} value={first}>
        <Value cell={{ total: first }} write={count} of={eventsOf(data, say.stopped, REPLY, campaign, "intent = stop")} />
      </Fact>
      <Fact id="written" name={say.written} value={then} tone={then > 0 ? "bad" : "good"} note={then > 0 ? say.of(count(then), count(first)) : say.obeyed}>
        <Value cell={{ total: then }} write={count} of={eventsOf(data, say.written, WITH_ANSWERS, "(intent = stop or intent = null)")} />
      </Fact>
    </Facts>
  );
}
