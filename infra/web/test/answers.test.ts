import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, changed, totalsBy } from "../src/board/answers";
import { changeOf, momentsOf } from "../src/board/kpis";

const answer = (series: Answer["series"]): Answer => ({
  name: "sent",
  from: "2026-11-24T08:30:00.000Z",
  to: "2026-11-24T10:10:00.000Z",
  interval: "hour",
  asOf: "2026-11-24T10:10:00.000Z",
  series,
});

const hourly = () =>
  answer([
    {
      total: 6,
      points: [
        { time: "2026-11-24T08:00:00.000Z", value: 1 },
        { time: "2026-11-24T09:00:00.000Z", value: 2 },
        { time: "2026-11-24T10:00:00.000Z", value: 3 },
      ],
      previous: { total: 4, change: 0.5, points: [{ time: "2026-11-23T08:00:00.000Z", value: 4 }] },
    },
  ]);

test("a delta replaces totals and the points it names, and keeps what it does not", () => {
  const [after] = changed([hourly()], [
    { series: [{ total: 9, points: [{ time: "2026-11-24T10:00:00.000Z", value: 6 }], previous: { total: 5, change: 0.8 } }] },
  ]);
  assert.equal(after?.series[0]?.total, 9);
  assert.deepEqual(after?.series[0]?.points.map(({ value }) => value), [1, 2, 6]);
  assert.deepEqual(after?.series[0]?.previous, { total: 5, change: 0.8, points: hourly().series[0]?.previous?.points });
});

test("a value that comes loses its reason, and one that goes gets one", () => {
  const none = answer([{ total: null, reason: "zero_denominator", points: [] }]);
  const [some] = changed([none], [{ series: [{ total: 50 }] }]);
  assert.deepEqual(some?.series[0], { total: 50, points: [] });
  const [gone] = changed([some as Answer], [{ series: [{ total: null, reason: "zero_denominator" }] }]);
  assert.deepEqual(gone, none);
});

test("groups are told apart by all of their key, and others and those without one are neither", () => {
  const groups = answer([
    { key: { groupId: "a", campaignId: "x" }, total: 1, points: [] },
    { key: { groupId: "a", campaignId: "y" }, total: 2, points: [] },
    { key: { groupId: null, campaignId: "y" }, total: 3, points: [] },
    { other: true, total: 4, points: [] },
  ]);
  const [after] = changed([groups], [
    { series: [{ other: true, total: 40 }, { key: { campaignId: "y", groupId: "a" }, total: 20 }, { key: { groupId: null, campaignId: "y" }, total: 30 }] },
  ]);
  assert.deepEqual(after?.series.map(({ total }) => total), [1, 20, 30, 40]);
  assert.deepEqual([...totalsBy(after, "groupId")], [["a", 20]]);
});

test("only the answers that a delta concerns become others", () => {
  const before = [hourly(), hourly()];
  const after = changed(before, [{ series: [] }, { series: [{ total: 7 }] }]);
  assert.equal(after[0], before[0]);
  assert.equal(after[1]?.series[0]?.points, before[1]?.series[0]?.points);
});

test("a first bucket that began before the range is not drawn, and the last is still open", () => {
  const moments = momentsOf(hourly());
  assert.deepEqual(moments.map(({ value, isOpen }) => [value, isOpen]), [[2, false], [3, true]]);
});

test("shares change by points, amounts by a fraction, growth by how many", () => {
  const series = { total: 3, points: [], previous: { total: 2, change: 0.5, points: [] } };
  assert.deepEqual(changeOf("percent", series), { as: "points", amount: 1 });
  assert.deepEqual(changeOf("count", series), { as: "fraction", amount: 0.5 });
  assert.deepEqual(changeOf("net", series), { as: "difference", amount: 1 });
  assert.equal(changeOf("percent", { ...series, total: null }), null);
  assert.equal(changeOf("count", { ...series, previous: { total: 0, change: null, points: [] } }), null);
});
