import assert from "node:assert/strict";
import { test } from "node:test";
import { Refused } from "../src/pages/ask";
import { Resource } from "../src/pages/resource";

/** A question whose answers come when the test says so. */
function asking() {
  const world = { isHidden: false, refused: 0, timers: new Set<() => void>() };
  const asks: { abort: AbortSignal; answer(data: string): Promise<void>; fail(error: unknown): Promise<void> }[] = [];
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
  const ask = (abort: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      asks.push({
        abort,
        answer: (data) => (resolve(data), settled()),
        fail: (error) => (reject(error), settled()),
      });
    });
  const resource = new Resource(ask, {
    after: (_, then) => {
      world.timers.add(then);
      return () => world.timers.delete(then);
    },
    isHidden: () => world.isHidden,
    refused: () => (world.refused += 1),
  });
  const minute = () => {
    const due = [...world.timers];
    world.timers.clear();
    for (const then of due) then();
  };
  return { world, asks, resource, minute };
}

test("asks at once and each minute, and keeps what it knows until it knows more", async () => {
  const { asks, resource, minute } = asking();
  resource.start();
  assert.deepEqual([resource.asked.value.data, resource.asked.value.error], [null, null]);
  await asks[0]?.answer("one");
  assert.deepEqual([resource.asked.value.data, resource.asked.value.isFresh], ["one", true]);
  minute();
  assert.equal(resource.asked.value.data, "one");
  await asks[1]?.answer("two");
  assert.equal(resource.asked.value.data, "two");
});

test("numbers that could not be asked for again are not fresh, and say why", async () => {
  const { asks, resource, minute } = asking();
  resource.start();
  await asks[0]?.answer("one");
  minute();
  await asks[1]?.fail(new Refused(503, "unavailable", "a store is down"));
  const { data, isFresh, error } = resource.asked.value;
  assert.deepEqual([data, isFresh, error], ["one", false, { code: "unavailable", detail: "a store is down" }]);
  minute();
  await asks[2]?.answer("three");
  assert.deepEqual([resource.asked.value.isFresh, resource.asked.value.error], [true, null]);
});

test("what is not wanted any more is given up, and its answer changes nothing", async () => {
  const { world, asks, resource } = asking();
  resource.start();
  resource.stop();
  assert.ok(asks[0]?.abort.aborted);
  assert.equal(world.timers.size, 0);
  await asks[0]?.answer("late");
  assert.equal(resource.asked.value.data, null);
  resource.start();
  resource.start();
  assert.deepEqual(asks.map(({ abort }) => abort.aborted), [true, true, false]);
  await asks[1]?.fail(new Error("aborted"));
  assert.equal(resource.asked.value.error, null);
});

test("does not ask while nobody looks, and asks at once when somebody does again", async () => {
  const { world, asks, resource, minute } = asking();
  resource.start();
  resource.wake();
  assert.equal(asks.length, 1);
  world.isHidden = true;
  minute();
  resource.wake();
  assert.equal(asks.length, 1);
  world.isHidden = false;
  resource.wake();
  assert.equal(asks.length, 2);
  resource.wake();
  assert.equal(asks.length, 2);
});

test("a token that is not taken is told, other errors are not", async () => {
  const { world, asks, resource } = asking();
  resource.start();
  await asks[0]?.fail(new Refused(401, "token_expired", ""));
  assert.equal(world.refused, 1);
  resource.start();
  await asks[1]?.fail(new TypeError("Failed to fetch"));
  assert.equal(world.refused, 1);
  assert.equal(resource.asked.value.error?.code, "network");
});
