import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer, Series } from "../src/board/answers";
import { filtered, totalsOf } from "../src/pages/ask";
import { againstUsual, medianOf, usualOf } from "../src/pages/channels";
import { eventsOf, searchFor } from "../src/pages/evidence";
import { adviceFor } from "../src/pages/failures";
import { type Spending, currenciesOf, spendingsOf, usedOf } from "../src/pages/money";
import { stayedOf, twoOf } from "../src/pages/people";
import { placementsOf } from "../src/pages/placements";
import { cellsOf, counted, rowsOf, taken } from "../src/pages/rows";
import { sortedBy } from "../src/pages/sorting";

const answer = (series: Partial<Series>[]): Answer => ({
  name: "",
  from: "2026-11-24T00:00:00.000Z",
  to: "2026-11-25T00:00:00.000Z",
  interval: "none",
  asOf: "2026-11-25T00:00:00.000Z",
  series: series.map((one) => ({ total: null, points: [], ...one })),
});

test("a question holds the campaign, and a filter of its own takes its place", () => {
  const scope = { campaign: 'say "hi"', period: "7d", timezone: "UTC" } as const;
  assert.deepEqual(totalsOf(scope, { limit: 5 }), { period: "7d", timezone: "UTC", interval: "none", filter: 'campaignId = "say \\"hi\\""', limit: 5 });
  assert.equal((totalsOf({ ...scope, campaign: "" }, {}) as { filter?: string }).filter, undefined);
  assert.deepEqual(filtered("", "a exists", "", "b = 1"), { filter: "a exists and b = 1" });
  assert.deepEqual(filtered("", ""), {});
});

test("a group that an answer lacks has none of what is counted, unless not all groups are told", () => {
  const measures = { joins: counted("member_joined"), views: taken("last(x.y)") };
  const rows = rowsOf(measures, [
    answer([{ key: { id: "a" }, total: 3 }]),
    answer([{ key: { id: "b" }, total: 9 }, { key: { id: null }, total: null, reason: "no_values" }, { other: true, total: 5 }]),
  ]);
  const of = (id: string | null) => rows.find(({ key }) => key["id"] === id)?.cells;
  assert.deepEqual(of("a"), { joins: { total: 3 }, views: { total: null } });
  assert.deepEqual(of("b"), { joins: { total: 0 }, views: { total: 9 } });
  assert.deepEqual(of(null), { joins: { total: 0 }, views: { total: null, reason: "no_values" } });
  const [hidden] = rowsOf({ joins: counted("x"), more: counted("y") }, [answer([{ other: true, total: 1 }]), answer([{ key: { id: "c" }, total: 2 }])]);
  assert.deepEqual(hidden?.cells, { joins: { total: null }, more: { total: 2 } });
  assert.deepEqual(cellsOf(measures, [answer([{ total: 4 }]), answer([])]), { joins: { total: 4 }, views: { total: null } });
});

test("currencies are those that have amounts, by name, and amounts without one come last", () => {
  const cells = (spend: number, revenue = 0) => ({ spend: { total: spend }, revenue: { total: revenue } });
  const rows = [null, "USD", "GBP", "EUR"].map((currency, index) => ({ key: { currency }, cells: cells([1, 0, 0, 2][index] ?? 0, index === 1 ? 7 : 0) }));
  assert.deepEqual(currenciesOf(rows).map(({ key }) => key.currency), ["EUR", "USD", null]);
});

test("a budget without a currency is in the only one that the campaign spends, and the most used come first", () => {
  const budget = answer([
    { key: { campaignId: "a", currency: null }, total: 100 },
    { key: { campaignId: "b", currency: "EUR" }, total: 10 },
    { key: { campaignId: "c", currency: null }, total: 5 },
    { key: { campaignId: null, currency: null }, total: 5 },
  ]);
  const spent = answer([
    { key: { campaignId: "a", currency: "USD" }, total: 40 },
    { key: { campaignId: "b", currency: "EUR" }, total: 12 },
    { key: { campaignId: "c", currency: "USD" }, total: 1 },
    { key: { campaignId: "c", currency: "RUB" }, total: 2 },
  ]);
  const told = ({ campaign, currency, budget, spent }: Spending) => [campaign, currency, budget, spent];
  assert.deepEqual(spendingsOf([budget, spent]).map(told), [
    ["b", "EUR", 10, 12],
    ["a", "USD", 100, 40],
    // Of two currencies, none is the budget's.
    ["c", null, 5, 0],
    ["c", "RUB", null, 2],
    ["c", "USD", null, 1],
  ]);
  assert.equal(usedOf({ campaign: "b", currency: "EUR", budget: 10, spent: 12 }), 120);
  assert.equal(usedOf({ campaign: "b", currency: "EUR", budget: null, spent: 12 }), null);
});

test("the median is the middle, or the mean of the two in the middle", () => {
  assert.equal(medianOf([]), null);
  assert.equal(medianOf([5]), 5);
  assert.equal(medianOf([9, 1, 5]), 5);
  assert.equal(medianOf([10, 2, 4, 1]), 3);
});

test("each channel has the median of its own posts, and a number is told against it", () => {
  const posts = answer([
    { key: { groupId: "a", postId: "1" }, total: 100 },
    { key: { groupId: "a", postId: "2" }, total: 300 },
    { key: { groupId: "b", postId: "1" }, total: 7 },
    { key: { groupId: "b", postId: null }, total: 70 },
    { other: true, total: 1_000 },
  ]);
  const usual = usualOf(posts);
  assert.deepEqual([...usual], [["a", { median: 200, posts: 2 }], ["b", { median: 7, posts: 1 }]]);
  assert.equal(againstUsual(250, usual.get("a") ?? null), 0.25);
  assert.equal(againstUsual(null, usual.get("a") ?? null), null);
  assert.equal(againstUsual(5, { median: 0, posts: 3 }), null);
});

test("advice goes by the class, and by who is at fault where that decides", () => {
  const advice = new Map([["permission", "ask"], ["permission/sender", "change the sender"]]);
  assert.equal(adviceFor(advice, { errorClass: "permission", fault: "chat" }), "ask");
  assert.equal(adviceFor(advice, { errorClass: "permission", fault: "sender" }), "change the sender");
  assert.equal(adviceFor(advice, { errorClass: "constructor", fault: "us" }), undefined);
  assert.equal(adviceFor(advice, { errorClass: null, fault: null }), undefined);
});

test("who stays is told of how many, and not before the time is over", () => {
  const periods = [{ period: 1, of: 4, people: 3, share: 75 }, { period: 30, of: 0, people: 0, share: null }];
  const series = [
    { key: { inviteLinkId: null }, people: 9, periods: [] },
    { key: { inviteLinkId: "ad" }, people: 5, periods },
    { other: true, people: 3, periods: [] },
    { key: {}, people: 0 },
  ];
  assert.deepEqual(stayedOf({ from: "", to: "", series }, "inviteLinkId"), [
    { name: "ad", people: 5, periods: [{ days: 1, of: 4, people: 3, share: 75 }, { days: 30, of: 0, people: 0, share: null }] },
    { name: null, people: 9, periods: [] },
  ]);
});

test("a funnel of two steps says how many took each, and how long that took if it knows", () => {
  const steps = [{ event: "reply_received", people: 5 }, { event: "message_sent", people: 3 }];
  assert.deepEqual(twoOf({ from: "", to: "", series: [{ steps }] }), { first: 5, then: 3, medianSeconds: null });
  const timed = steps.map((step) => ({ ...step, medianSeconds: 90 }));
  assert.equal(twoOf({ from: "", to: "", series: [{ steps: timed }] }).medianSeconds, 90);
  assert.deepEqual(twoOf({ from: "", to: "", series: [] }), { first: 0, then: 0, medianSeconds: null });
});

test("placements come by price, and each has the currencies that were paid in", () => {
  const cell = (total: number | null) => ({ total });
  const row = (id: string | null, price: number, views: number | null) => {
    const none = { cpm: cell(null), clicks: cell(0), joins: cell(0), gone1: cell(0), gone7: cell(0), perStayed: cell(null) };
    const cells = { price: cell(price), views: cell(views), ...none };
    return { key: { placementId: id }, cells };
  };
  const placements = placementsOf([row("free", 0, 5), row("seen", 0, 9), row("paid", 3, null), row(null, 1, 1)], new Map([["paid", ["USD", null]]]));
  assert.deepEqual(placements.map(({ id, currencies }) => [id, currencies]), [["paid", ["USD", null]], ["seen", []], ["free", []]]);
});

test("a search asks for the events of a number and nothing that is empty", () => {
  const evidence = eventsOf(answer([]), "Spend", ["cost_recorded", "member_left"], "", 'campaignId = "a"', "final");
  assert.deepEqual(searchFor(evidence), {
    eventName: "cost_recorded,member_left",
    filter: 'campaignId = "a" and final',
    from: "2026-11-24T00:00:00.000Z",
    to: "2026-11-25T00:00:00.000Z",
    limit: "50",
  });
  assert.deepEqual(searchFor({ title: "", events: ["x"] }), { eventName: "x", limit: "50" });
});

test("rows are sorted by a column both ways, and what is not known comes last in each", () => {
  const columns = [{ id: "n", sortBy: (row: number | null) => row }, { id: "x" }];
  const rows = [3, null, 10, 1];
  assert.deepEqual(sortedBy(rows, columns, { by: "n", isUp: true }), [1, 3, 10, null]);
  assert.deepEqual(sortedBy(rows, columns, { by: "n", isUp: false }), [10, 3, 1, null]);
  assert.deepEqual(sortedBy(rows, columns, { by: "x", isUp: true }), rows);
  assert.deepEqual(sortedBy(rows, columns, null), rows);
});
