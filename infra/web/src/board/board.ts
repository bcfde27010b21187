import { type Signal, batch, signal } from "@preact/signals";
import type { ErrorFrame, EventFrame, Frame, LiveEvent, Question, StreamFrame, Totals } from "../live/frames";
import type { Phase } from "../live/live";
import { type Answer, changed } from "./answers";
import { EVENTS_STREAM, type Scope, type Topic, eventsOf, questionsOf } from "./questions";
import { EventRate, KEPT_EVENTS, withNewer, withStored } from "./ticker";

/** What one topic shows. Answers that are not fresh are those of before the connection broke. */
export interface Panel {
  answers: Answer[] | null;
  isFresh: boolean;
  error: ErrorFrame | null;
}

const LOADING: Panel = { answers: null, isFresh: false, error: null };
const TOPICS: Topic[] = ["results", "responses", "funnel", "groups", "senders", "campaigns"];

export interface Alert {
  severity: "critical" | "warning" | "info";
  title: string;
  since: string;
}

/** What is on the board. */
export const panels = Object.fromEntries(TOPICS.map((topic) => [topic, signal(LOADING)])) as Record<
  Topic,
  Signal<Panel>
>;
export const phase = signal<Phase>("connecting");
export const retryAt = signal(0);
export const asOf = signal<Date | null>(null);
export const events = signal<LiveEvent[]>([]);
export const eventsError = signal<ErrorFrame | null>(null);
export const areEventsFresh = signal(false);
export const unlisted = signal({ skipped: 0, lagged: 0 });
export const alerts = signal<Alert[]>([]);
export const rate = new EventRate();

const streams: Partial<Record<Topic, string>> = {};
let followedCampaign: string | null = null;

/** The streams that the board needs for a scope. */
export function streamsFor(scope: Scope): Question[] {
  const questions = questionsOf(scope);
  batch(() => {
    for (const topic of TOPICS) {
      const name = nameOf(topic, questions[topic]);
      if (streams[topic] === name) continue;
      streams[topic] = name;
      panels[topic].value = LOADING;
    }
    if (followedCampaign !== scope.campaign) {
      followedCampaign = scope.campaign;
      forgetEvents();
    }
  });
  const queries = TOPICS.map((topic) => ({ ...questions[topic], stream: streams[topic] ?? topic }));
  return [...queries, eventsOf(scope.campaign)];
}

/** A question that differs has another name, so that frames of the one before, still on their way, are not taken for its
 * answers. The same question has the same name everywhere, since who asks alike is answered together. */
function nameOf(topic: Topic, question: object): string {
  // FNV-1a.
  let hash = 0x811c9dc5;
  for (const unit of JSON.stringify(question)) hash = Math.imul(hash ^ (unit.codePointAt(0) ?? 0), 0x01000193);
  return `query/${topic}-${(hash >>> 0).toString(16)}`;
}

/** Forgets all numbers, as when somebody else signs in. */
export function clearBoard(): void {
  batch(() => {
    for (const topic of TOPICS) {
      delete streams[topic];
      panels[topic].value = LOADING;
    }
    followedCampaign = null;
    forgetEvents();
    asOf.value = null;
    phase.value = "connecting";
  });
}

function forgetEvents(): void {
  events.value = [];
  eventsError.value = null;
  areEventsFresh.value = false;
  unlisted.value = { skipped: 0, lagged: 0 };
  rate.forget();
}

export function showPhase(now: Phase, retry = 0): void {
  batch(() => {
    phase.value = now;
    retryAt.value = retry;
    if (now === "live") return;
    for (const topic of TOPICS) panels[topic].value = { ...panels[topic].value, isFresh: false };
    areEventsFresh.value = false;
    rate.forget();
  });
}

export function showFresh(stream: string): void {
  const topic = topicOf(stream);
  if (topic) panels[topic].value = { ...panels[topic].value, isFresh: true };
  else areEventsFresh.value = true;
}

export function showFrame(frame: StreamFrame | ErrorFrame, now: number): void {
  batch(() => {
    if ("asOf" in frame) showTime(frame.asOf);
    const topic = topicOf(frame.stream);
    if (topic) showNumbers(topic, frame);
    else if (frame.stream === EVENTS_STREAM) showEvents(frame, now);
  });
}

function topicOf(stream: string | undefined): Topic | undefined {
  return TOPICS.find((topic) => streams[topic] === stream);
}

function showTime(text: string): void {
  const at = new Date(text);
  if (!asOf.value || at > asOf.value) asOf.value = at;
}

/** Shows answers that did not come by the stream, until it has its own: they are not fresh. */
export function showAhead(stream: string, answers: Answer[]): void {
  const topic = topicOf(stream);
  if (!topic || panels[topic].value.answers) return;
  panels[topic].value = { ...panels[topic].value, answers };
  for (const answer of answers) showTime(answer.asOf);
}

function showNumbers(topic: Topic, frame: Frame): void {
  const panel = panels[topic];
  const { answers } = panel.value;
  if (frame.type === "error") panel.value = { answers: null, isFresh: false, error: frame };
  if (frame.type === "snapshot" && frame.data) panel.value = { ...panel.value, answers: frame.data.results, error: null };
  if (frame.type === "delta" && answers) panel.value = { ...panel.value, answers: changed(answers, frame.results) };
}

function showEvents(frame: Frame, now: number): void {
  if (frame.type === "error") eventsError.value = frame;
  if (frame.type === "snapshot" && frame.totals) count(frame.totals, now);
  if (frame.type === "lagged") unlisted.value = { ...unlisted.value, lagged: unlisted.value.lagged + frame.dropped };
  if (frame.type === "event") list(frame, now);
}

/** Shows what came before the stream began. Of many, the stream itself shows the latest. */
export function showStored(ofCampaign: string, stored: LiveEvent[]): void {
  if (ofCampaign !== followedCampaign || events.value.length >= KEPT_EVENTS) return;
  events.value = withStored(events.value, stored);
}

function list(frame: EventFrame, now: number): void {
  count(frame.totals, now);
  // Some of the campaign before may still be on their way.
  const ours = frame.events.filter((event) => !followedCampaign || event.properties?.["campaignId"] === followedCampaign);
  events.value = withNewer(events.value, ours);
  if (frame.skipped > 0) unlisted.value = { ...unlisted.value, skipped: unlisted.value.skipped + frame.skipped };
}

function count(totals: Totals, now: number): void {
  eventsError.value = null;
  rate.take(totals, now);
}
