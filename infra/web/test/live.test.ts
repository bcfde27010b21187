import assert from "node:assert/strict";
import { test } from "node:test";
import { EVENTS, KPIS, events, following, snapshot } from "./world";

test("asks for all streams as soon as the connection is open, and is live when each has begun", () => {
  const { world, heard } = following(KPIS, EVENTS);
  assert.equal(world.last.address, "wss://live/ws");
  assert.deepEqual(world.last.protocols, ["analytics", "bearer.t.o.k"]);
  assert.deepEqual(heard.phases, ["connecting"]);
  world.last.onopen?.();
  assert.deepEqual(world.last.said.map((message) => message["stream"]), ["query/kpis", "analytics"]);
  assert.equal(world.last.messages, 1);
  world.last.accept();
  assert.deepEqual(heard.fresh, []);
  world.last.says(snapshot("query/kpis"));
  assert.deepEqual(heard.fresh, ["query/kpis"]);
  assert.deepEqual(heard.phases, ["connecting"]);
  world.last.says(snapshot("analytics"));
  assert.deepEqual(heard.phases, ["connecting", "live"]);
  world.last.says(snapshot("analytics"));
  assert.deepEqual(heard.phases, ["connecting", "live"]);
});

test("is live though a stream can say nothing but what is wrong with it", () => {
  const { world, heard } = following(KPIS, EVENTS);
  world.last.accept();
  world.last.says(snapshot("analytics"));
  world.last.says({ type: "error", stream: "query/kpis", code: "too_large", detail: "" });
  assert.equal(heard.phases.at(-1), "live");
});

test("a connection on which nothing is heard after a ping is dead, whatever the socket says", () => {
  const { world, heard } = following(KPIS);
  world.last.accept();
  world.last.says(snapshot("query/kpis"));
  world.pass(20_000);
  assert.equal(world.last.count("ping"), 1);
  world.last.says({ type: "pong", at: "", streams: {} });
  world.pass(20_000);
  assert.equal(world.last.count("ping"), 2);
  world.pass(9_999);
  assert.equal(heard.phases.at(-1), "live");
  world.pass(1);
  assert.equal(heard.phases.at(-1), "reconnecting");
  assert.ok(world.last.isClosed);
});

test("anything heard after a ping is a sign of life", () => {
  const { world, heard } = following(KPIS);
  world.last.accept();
  world.pass(20_500);
  world.last.says(snapshot("query/kpis"));
  world.pass(15_000);
  assert.equal(heard.phases.at(-1), "live");
});

test("who comes back to the page finds out within ten seconds whether the connection lives", () => {
  const { world, heard, live } = following(KPIS);
  world.last.accept();
  world.pass(1_000);
  live.wake();
  assert.equal(world.last.count("ping"), 1);
  world.pass(10_000);
  assert.equal(heard.phases.at(-1), "reconnecting");
});

test("waits longer after each failure, half a minute at most, and starts anew after a success", () => {
  const { world, heard } = following(KPIS);
  const waits: number[] = [];
  for (let failure = 0; failure < 9; failure++) {
    const tries = world.sockets.length;
    world.last.breaks();
    let waited = 0;
    while (world.sockets.length === tries) {
      world.pass(500);
      waited += 500;
    }
    waits.push(waited);
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  assert.equal(heard.refused, 9);
  world.last.accept();
  world.last.says(snapshot("query/kpis"));
  world.last.breaks();
  world.pass(500);
  assert.equal(world.sockets.length, 11);
  assert.equal(heard.refused, 9);
});

test("a socket that never opens is given up", () => {
  const { world, heard } = following(KPIS);
  world.pass(10_000);
  assert.equal(heard.phases.at(-1), "reconnecting");
});

test("goes on after a break where events stopped, hears none twice, and asks metrics anew", () => {
  const { world, heard } = following(KPIS, EVENTS);
  world.last.accept();
  world.last.says(snapshot("analytics", 5));
  world.last.says(events(6));
  world.last.breaks();
  world.pass(500);
  world.last.accept();
  assert.deepEqual(world.last.said.slice(0, 2), [
    { action: "subscribe", ...KPIS },
    { action: "subscribe", ...EVENTS, sinceSeq: 6 },
  ]);
  heard.frames.length = heard.fresh.length = 0;
  world.last.says({ type: "subscribed", stream: "analytics" });
  assert.deepEqual(heard.fresh, ["analytics"]);
  world.last.says(events(6));
  world.last.says(events(7));
  assert.deepEqual(heard.frames.flatMap((frame) => (frame.type === "event" ? frame.seq : [])), [7]);
});

test("changes to a second connection before the first ends, and nobody notices", () => {
  const { world, heard } = following(KPIS, EVENTS);
  const first = world.last;
  first.accept();
  first.says(snapshot("query/kpis"));
  first.says(snapshot("analytics", 5));
  first.says({ type: "going_away", reason: "two hours" });
  const second = world.last;
  assert.notEqual(second, first);
  second.accept();
  first.says(events(6));
  second.says({ type: "subscribed", stream: "query/kpis" });
  second.says({ type: "subscribed", stream: "analytics" });
  assert.ok(!first.isClosed);
  second.says(snapshot("query/kpis", 9));
  assert.ok(first.isClosed);
  assert.ok(!second.isClosed);
  second.says(events(6));
  second.says(events(7));
  assert.deepEqual(heard.frames.flatMap((frame) => (frame.type === "event" ? frame.seq : [])), [6, 7]);
  assert.deepEqual(heard.phases, ["connecting", "live"]);
});

test("is live by the second connection if the first was not yet", () => {
  const { world, heard } = following(KPIS);
  world.last.accept();
  world.last.says({ type: "going_away", reason: "two hours" });
  world.last.accept();
  world.last.says(snapshot("query/kpis"));
  assert.deepEqual(heard.phases, ["connecting", "live"]);
});

test("takes the second connection at once if the first ends too soon, and asks it for all again", () => {
  const { world, heard } = following(KPIS);
  const first = world.last;
  first.accept();
  first.says(snapshot("query/kpis"));
  first.says({ type: "going_away", reason: "two hours" });
  const second = world.last;
  second.accept();
  first.breaks();
  assert.equal(world.sockets.length, 2);
  assert.deepEqual(heard.phases, ["connecting", "live", "connecting"]);
  assert.equal(second.count("subscribe"), 2);
  second.says(snapshot("query/kpis", 2));
  assert.equal(heard.phases.at(-1), "live");
});

test("asks anew when nothing came of a query for a minute, since its window has moved", () => {
  const { world } = following(KPIS, EVENTS);
  world.last.accept();
  world.last.says(snapshot("query/kpis"));
  world.last.says(snapshot("analytics"));
  for (let second = 0; second < 59; second++) {
    world.pass(1_000);
    world.last.says({ type: "pong", at: "", streams: {} });
  }
  assert.equal(world.last.count("subscribe"), 2);
  world.pass(5_000);
  assert.equal(world.last.count("subscribe"), 3);
  assert.equal(world.last.said.findLast((message) => message["action"] === "subscribe")?.["stream"], "query/kpis");
});

test("leaves the streams that are no longer wanted, and ignores what still comes of them", () => {
  const { world, heard, live } = following(KPIS, EVENTS);
  world.last.accept();
  live.follow([{ stream: "query/kpis_2", queries: [] }, EVENTS]);
  assert.deepEqual(world.last.said.slice(2), [
    { action: "unsubscribe", stream: "query/kpis" },
    { action: "subscribe", stream: "query/kpis_2", queries: [] },
  ]);
  heard.frames.length = 0;
  world.last.says(snapshot("query/kpis"));
  assert.deepEqual(heard.frames, []);
});

test("later connections use the token that the server has taken", () => {
  const { world, live } = following(KPIS);
  world.last.accept();
  live.offerToken("n.e.w");
  assert.deepEqual(world.last.said.at(-1), { action: "auth", token: "n.e.w" });
  world.last.says({ type: "authenticated", tokenExpiresAt: "" });
  world.last.breaks();
  world.pass(500);
  assert.deepEqual([world.last.address, world.last.protocols[1]], ["wss://live/ws", "bearer.n.e.w"]);
});

test("asks for a frame that was sent and did not come, but not while it may be on its way", () => {
  const { world, heard } = following(EVENTS);
  world.last.accept();
  world.last.says(snapshot("analytics", 5));
  world.last.says({ type: "pong", at: "", streams: { analytics: 6 } });
  world.last.says(events(6));
  world.pass(10_000);
  assert.equal(world.last.count("subscribe"), 1);
  world.last.says({ type: "pong", at: "", streams: { analytics: 7 } });
  world.pass(5_000);
  assert.equal(world.last.count("subscribe"), 2);
  assert.deepEqual(world.last.said.at(-1), { action: "subscribe", ...EVENTS, sinceSeq: 6 });
  world.last.says({ type: "subscribed", stream: "analytics" });
  world.last.says(events(7));
  world.pass(10_000);
  assert.equal(world.last.count("subscribe"), 2);
  assert.deepEqual(heard.frames.flatMap((frame) => (frame.type === "event" ? frame.seq : [])), [6, 7]);
});
