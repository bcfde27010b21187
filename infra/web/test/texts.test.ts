import assert from "node:assert/strict";
import { test } from "node:test";
import { en } from "../src/texts/en";
import { ru } from "../src/texts/ru";
import type { Texts } from "../src/texts/texts";
import { zh } from "../src/texts/zh";

const HOSTILE = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "__defineGetter__", "isPrototypeOf"];

const names = ({ events, errorClasses, account, pages }: Texts) => [events, errorClasses, account.roles, pages.failures.faults, pages.failures.advice];

for (const [language, texts] of Object.entries({ en, zh, ru })) {
  test(`there are no words for what nobody named: ${language}`, () => {
    for (const name of HOSTILE) {
      for (const known of names(texts)) assert.equal(known.get(name), undefined, name);
    }
  });

  test(`all languages have words for the same names: ${language}`, () => {
    assert.deepEqual(keysOf(texts), keysOf(en));
    names(texts).forEach((known, index) => {
      assert.deepEqual([...known.keys()], [...(names(en)[index]?.keys() ?? [])]);
      assert.ok([...known.values()].every((text) => text !== ""));
    });
  });
}

test("every class of failure has a name and advice", () => {
  for (const name of en.pages.failures.advice.keys()) assert.ok(en.errorClasses.has(name.split("/")[0] ?? ""), name);
  for (const name of en.errorClasses.keys()) assert.ok(en.pages.failures.advice.has(name), name);
});

/** Paths to all texts, and what each is. */
function keysOf(texts: object, path = ""): string[] {
  return Object.entries(texts).flatMap(([name, text]: [string, unknown]) => {
    const here = `${path}/${name}`;
    if (typeof text !== "object" || text === null || text instanceof Map) return [`${here}: ${typeof text}`];
    return keysOf(text, here);
  }).sort();
}
