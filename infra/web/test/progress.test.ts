import assert from "node:assert/strict";
import { test } from "node:test";
import { countsFrom, finishAt, runsOf, speedOf } from "../src/pages/progress";

const at = (minutes: number) => minutes * 60_000;
const event = (name: string, minutes: number, properties: object = {}) => ({
  eventId: `${name}-${minutes}`,
  eventName: `campaign_${name}`,
  timestamp: new Date(at(minutes)).toISOString(),
  properties: { campaignId: "c", ...properties },
});

test("a campaign runs from its start, over a pause, to its end", () => {
  const started = event("started", 10, { targets: 100, campaignName: "Spring" });
  const [running] = runsOf([started]);
  assert.deepEqual([running?.state, running?.name, running?.targets, running?.startedAt], ["running", "Spring", 100, at(10)]);
  const paused = event("paused", 20, { reason: "flood" });
  const [waits] = runsOf([paused, started]);
  assert.deepEqual([waits?.state, waits?.reason, waits?.since, waits?.startedAt], ["paused", "flood", at(20), at(10)]);
  const [again] = runsOf([event("started", 30), paused, started]);
  assert.deepEqual([again?.state, again?.reason, again?.startedAt, again?.targets], ["running", "", at(10), 100]);
  const [completed] = runsOf([event("completed", 40, { targets: 90 }), started]);
  assert.deepEqual([completed?.state, completed?.targets], ["completed", 90]);
});

test("a start after the end is another run, with its own targets", () => {
  const [run] = runsOf([event("started", 50), event("completed", 40), event("started", 10, { targets: 100 })]);
  assert.deepEqual([run?.state, run?.startedAt, run?.endedBefore, run?.targets], ["running", at(50), at(40), null]);
});

test("events without a campaign, or of other names, are of no run", () => {
  assert.deepEqual(runsOf([event("renamed", 1), event("started", 1, { campaignId: 7 }), { ...event("started", 1), properties: {} }]), []);
});

test("messages count from midnight on, unless the run is older or another one ended today", () => {
  const midnight = at(1_000);
  assert.equal(countsFrom({ startedAt: at(1_200), endedBefore: null }, midnight), midnight);
  assert.equal(countsFrom({ startedAt: at(900), endedBefore: at(800) }, midnight), at(900));
  assert.equal(countsFrom({ startedAt: at(1_200), endedBefore: at(1_100) }, midnight), at(1_100));
  assert.equal(countsFrom({ startedAt: at(1_200), endedBefore: at(900) }, midnight), midnight);
});

test("the speed is that of ten minutes, or of those that there were", () => {
  assert.equal(speedOf(50, at(0), at(60)), 5);
  assert.equal(speedOf(50, at(55), at(60)), 10);
  assert.equal(speedOf(50, at(60), at(60)), 50);
});

test("the finish is when the rest is done at this speed, if there is one", () => {
  assert.equal(finishAt(40, 100, 6, at(0)), at(10));
  assert.equal(finishAt(120, 100, 6, at(5)), at(5));
  assert.equal(finishAt(40, 100, 0, at(0)), null);
  assert.equal(finishAt(40, null, 6, at(0)), null);
  assert.equal(finishAt(null, 100, 6, at(0)), null);
});
