import { type Scope, campaignIs } from "../../board/questions";
import { formats, texts } from "../../texts/language";
import type { Evidence } from "../evidence";
import { CAMPAIGN_EVENTS, type Progress, type RunState, askCampaigns } from "../progress";
import { useAnswer } from "../resource";
import { Bar } from "./Bar";
import { Nothing } from "./Cells";
import { EventsOf } from "./EventsOf";
import { Part } from "./Part";
import { Sheet } from "./Sheet";

const TONES: Record<RunState, string> = { running: "badge badge--good", paused: "badge", completed: "badge badge--plain" };

export function CampaignsPage({ scope }: { scope: Scope }) {
  const { pages } = texts.value;
  const say = pages.progress;
  const { campaign, timezone } = scope;
  const asked = useAnswer(`${campaign} ${timezone}`, (abort) => askCampaigns(scope, abort));
  return (
    <Part name="progress" heading={say.heading} goesBy={pages.anyPeriod} asked={asked}>
      {({ progress, now }) => (
        <Sheet
          name="progress"
          rows={progress}
          keyOf={(row) => row.campaign}
          empty={pages.send(say.empty)}
          columns={[
            {
              id: "campaign",
              heading: say.campaign,
              isText: true,
              cell: ({ campaign: id, name }) => (
                <>
                  <bdi>{name || id}</bdi>
                  {name && name !== id && <bdi class="quiet second-line">{id}</bdi>}
                </>
              ),
            },
            { id: "state", heading: say.state, isText: true, cell: (row) => <State run={row} /> },
            { id: "done", heading: say.done, sortBy: ({ done }) => done, cell: (row) => <Done run={row} /> },
            { id: "failed", heading: say.failed, sortBy: ({ failed }) => failed, cell: (row) => <Failed run={row} /> },
            { id: "perMinute", heading: say.perMinute, sortBy: ({ perMinute }) => perMinute, cell: (row) => <Speed run={row} now={now} /> },
            { id: "finish", heading: say.finish, sortBy: ({ finish }) => finish, cell: (row) => <Finish run={row} /> },
          ]}
        />
      )}
    </Part>
  );
}

function eventsOf({ campaign, from }: Progress, title: string, events: string[], more = ""): Evidence {
  return { title: `${campaign} · ${title}`, events, from: new Date(from).toISOString(), filter: campaignIs(campaign) + more };
}

function State({ run }: { run: Progress }) {
  const say = texts.value.pages.progress;
  const { state, reason, since, startedAt } = run;
  const at = formats.value.dayAndTime(new Date(since));
  const of = { ...eventsOf(run, say.state, CAMPAIGN_EVENTS), from: new Date(startedAt).toISOString() };
  return (
    <>
      <EventsOf of={of} value={state}>
        <span class={TONES[state]}>{say.states[state]}</span>
      </EventsOf>
      {reason && <bdi class="reason">{reason}</bdi>} <span class="quiet">{say.since(at)}</span>
    </>
  );
}

function Done({ run }: { run: Progress }) {
  const { pages, reasons } = texts.value;
  const { done, targets } = run;
  if (done === null) return <Nothing because={reasons.no_values} />;
  const count = formats.value.count(done);
  const percent = targets ? (100 * done) / targets : null;
  return (
    <span class="used">
      {percent !== null && <Bar percent={percent} />}
      <EventsOf of={eventsOf(run, pages.progress.done, ["message_sent", "message_failed"])} value={done}>
        {targets === null ? count : pages.progress.of(count, formats.value.count(targets))}
      </EventsOf>
      {percent !== null && <span class="quiet">{formats.value.percent(percent)}</span>}
    </span>
  );
}

function Failed({ run }: { run: Progress }) {
  const { pages, reasons } = texts.value;
  if (run.failed === null) return <Nothing because={reasons.no_values} />;
  return (
    <EventsOf of={eventsOf(run, pages.progress.failed, ["message_failed"], " and final")} value={run.failed}>
      {formats.value.count(run.failed)}
    </EventsOf>
  );
}

const LATELY_MS = 10 * 60_000;

function Speed({ run, now }: { run: Progress; now: number }) {
  const say = texts.value.pages.progress;
  const { state, perMinute } = run;
  if (state !== "running") return null;
  if (!perMinute) return <span class="quiet">{say.still}</span>;
  const lately = { ...eventsOf(run, say.perMinute, ["message_sent"]), from: new Date(now - LATELY_MS).toISOString() };
  return (
    <EventsOf of={lately} value={perMinute}>
      {formats.value.rate(perMinute)}
    </EventsOf>
  );
}

function Finish({ run: { finish } }: { run: Progress }) {
  if (finish === null) return null;
  const at = new Date(finish);
  return <time dateTime={at.toISOString()}>{formats.value.dayAndTime(at)}</time>;
}
