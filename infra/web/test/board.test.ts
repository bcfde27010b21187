import assert from "node:assert/strict";
import { test } from "node:test";
import { readPlace, writePlace } from "../src/board/place";
import { STEPS, campaignIs, questionsOf, sharesOf } from "../src/board/questions";
import { EventRate, KEPT_EVENTS, withNewer, withStored } from "../src/board/ticker";

const event = (id: number) => ({ eventId: `e${id}`, eventName: "message_sent", timestamp: "2026-11-24T09:30:00.000Z" });
const totals = (events: number, since = "2026-11-24T09:30:00.000Z") => ({ since, events, byName: {} });

test("the newest events come first, each once, and only so many are kept", () => {
  const first = withNewer([], [event(1), event(2)]);
  assert.deepEqual(withNewer(first, [event(2), event(3)]).map(({ eventId }) => eventId), ["e3", "e2", "e1"]);
  const many = withNewer(first, Array.from({ length: 60 }, (_, index) => event(index + 10)));
  assert.equal(many.length, KEPT_EVENTS);
  assert.equal(many[0]?.eventId, "e69");
});

test("what is stored stands below what is not yet, each once, and only so many are kept", () => {
  const shown = withNewer([], [event(1), event(3), event(4)]);
  const found = withStored(shown, [event(3), event(2), event(1), event(0)]);
  assert.deepEqual(found.map(({ eventId }) => eventId), ["e4", "e3", "e2", "e1", "e0"]);
  const many = withStored(shown, Array.from({ length: 60 }, (_, index) => event(index + 10)));
  assert.deepEqual([many.length, many[0]?.eventId, many.at(-1)?.eventId], [KEPT_EVENTS, "e4", "e56"]);
});

test("the rate is that of the last ten seconds, falls to nothing, and forgets sums that began anew", () => {
  const rate = new EventRate();
  rate.take(totals(1_000), 0);
  assert.equal(rate.at(500), null);
  rate.take(totals(1_020), 2_000);
  assert.equal(rate.at(2_000), 10);
  rate.take(totals(1_120), 12_000);
  assert.equal(rate.at(12_000), 10);
  assert.equal(rate.at(30_000), 0);
  rate.take(totals(5, "2026-11-24T10:00:00.000Z"), 31_000);
  rate.take(totals(25, "2026-11-24T10:00:00.000Z"), 33_000);
  assert.equal(rate.at(33_000), 10);
});

test("the address says where one is, and never holds the token", () => {
  const place = readPlace("#token=a.b.c&campaign=%E6%96%B0%E5%93%81%20%26&period=7d");
  assert.deepEqual(place, { page: "overview", campaign: "新品 &", period: "7d", token: "a.b.c" });
  assert.deepEqual(readPlace(writePlace(place)), { ...place, token: null });
  assert.equal(readPlace("#period=9y").period, "24h");
  assert.equal(writePlace({ page: "money", campaign: "", period: "24h" }), "#page=money&period=24h");
  assert.equal(readPlace("#page=money&period=24h").page, "money");
  assert.equal(readPlace("#page=constructor").page, "overview");
});

test("a campaign's name is asked for as it is", () => {
  assert.equal(campaignIs('say "hi" \\o/'), 'campaignId = "say \\"hi\\" \\\\o/"');
  const { senders, groups } = questionsOf({ campaign: "spring", period: "7d", timezone: "UTC" }) as Record<string, { filter?: string }>;
  assert.equal(groups?.filter, 'campaignId = "spring"');
  assert.equal(senders?.filter, undefined);
});

test("a step has a share of the one before only if it is a part of that", () => {
  const shares = sharesOf([100, 50, 51, 10, 15, 44, 88]);
  assert.deepEqual(STEPS.map((step, index) => [step, shares[index]]), [
    ["queued", null], ["sent", 50], ["delivered", 102], ["read", (100 * 10) / 51],
    ["clicked", null], ["joined", null], ["converted", null],
  ]);
  assert.deepEqual(sharesOf([0, 5, null, 5, 5, 5, 5]), STEPS.map(() => null));
});
