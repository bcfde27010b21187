import assert from "node:assert/strict";
import { test } from "node:test";
import { type Sender, byTrouble, leftOf, poolOf, sharesBy } from "../src/pages/pool";

const NOW = Date.parse("2026-11-24T12:00:00.000Z");
const MINUTE = 60_000;
const ago = (minutes: number) => new Date(NOW - minutes * MINUTE).toISOString();

const event = (eventName: string, minutes: number, properties: object = {}) => ({
  eventId: `${eventName}-${minutes}`,
  eventName,
  timestamp: ago(minutes),
  properties: { senderId: "s", ...properties },
});
const sample = (minutes: number, more: object = {}) => event("sender_stats_sampled", minutes, { state: "active", sentToday: 30, dailyLimit: 50, ...more });
const state = (...events: ReturnType<typeof event>[]) => poolOf(events, NOW)[0]?.state;

test("a sender has the state of its latest sample, whatever the order", () => {
  assert.equal(state(sample(90, { state: "limited" }), sample(30)), "active");
  assert.equal(state(sample(30, { state: "logged_out" }), sample(90)), "logged_out");
  assert.equal(state(sample(30, { state: "of another day" })), "active");
  assert.deepEqual(poolOf([{ ...sample(1), properties: {} }], NOW), []);
});

test("what happened after the sample counts, what happened before does not", () => {
  assert.equal(state(sample(30), event("sender_banned", 10)), "banned");
  assert.equal(state(sample(30), event("sender_banned", 40)), "active");
  assert.equal(state(sample(30), event("sender_session_lost", 20), event("sender_recovered", 10)), "active");
  assert.equal(state(sample(30), event("sender_restricted", 10, { kind: "frozen" })), "frozen");
  assert.equal(state(sample(30), event("sender_restricted", 10, { kind: "spam_block" })), "limited");
});

test("a limit lasts until it ends, and a sample that knows of it does not forget how long", () => {
  const until = (minutes: number) => new Date(NOW + minutes * MINUTE).toISOString();
  const restricted = (at: number, end: number) => event("sender_restricted", at, { kind: "peer_flood", until: until(end) });
  const [limited] = poolOf([sample(30), restricted(10, 60)], NOW);
  assert.deepEqual([limited?.state, limited?.until], ["limited", NOW + 60 * MINUTE]);
  assert.equal(state(sample(30), restricted(20, -5)), "active");
  const [sampled] = poolOf([restricted(90, 60), sample(30, { state: "limited" })], NOW);
  assert.deepEqual([sampled?.state, sampled?.until], ["limited", NOW + 60 * MINUTE]);
  const [seconds] = poolOf([sample(30), event("sender_restricted", 5, { until: (NOW + MINUTE) / 1_000 })], NOW);
  assert.equal(seconds?.until, NOW + MINUTE);
});

test("a flood wait limits a sender for as long as it says, and less than a ban does", () => {
  const wait = (at: number, waitS: number, kind = "flood") => event("sender_flood_wait", at, { waitS, kind });
  const [waits] = poolOf([sample(30), wait(10, 1_200)], NOW);
  assert.deepEqual([waits?.state, waits?.until], ["limited", NOW + 10 * MINUTE]);
  assert.equal(state(sample(30), wait(10, 300)), "active");
  assert.equal(state(sample(30), wait(10, 1_200, "slow_mode")), "active");
  assert.equal(state(sample(30), event("sender_banned", 20), wait(10, 1_200)), "banned");
  const [longest] = poolOf([sample(30), wait(10, 3_600), wait(9, 60)], NOW);
  assert.equal(longest?.until, NOW + 50 * MINUTE);
});

test("without a sample, only senders that are out of action are there", () => {
  assert.equal(state(event("sender_banned", 9_000)), "banned");
  assert.equal(state(event("sender_banned", 9_000), event("sender_recovered", 8_000)), undefined);
  assert.equal(state(event("sender_flood_wait", 9_000, { waitS: 5 })), undefined);
});

test("messages left are those of active senders, and never less than none", () => {
  const of = (senderId: string, more: object) => sample(5, { senderId, ...more });
  const senders = poolOf([of("a", {}), of("b", { sentToday: 80 }), of("c", { state: "banned" }), of("d", { dailyLimit: null })], NOW);
  assert.deepEqual(senders.map(({ left }) => left), [20, 0, 20, null]);
  assert.equal(leftOf(senders), 20);
});

test("those in trouble come first, and so do the proxies that have most of them", () => {
  const of = (id: string, proxyId: string, senderState: string) => sample(5, { senderId: id, proxyId, state: senderState });
  const senders = poolOf([of("a", "p1", "active"), of("b", "p1", "active"), of("c", "p2", "banned"), of("d", "p2", "active"), of("e", "", "frozen")], NOW);
  assert.deepEqual([...senders].sort(byTrouble).map(({ id }: Sender) => id), ["e", "c", "a", "b", "d"]);
  const shares = sharesBy(senders, "proxy").map(({ name, all, active, left }) => [name, all.length, active, left]);
  assert.deepEqual(shares, [["p2", 2, 1, 20], ["p1", 2, 2, 40], ["", 1, 0, 0]]);
});
