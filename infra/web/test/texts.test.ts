import assert from "node:assert/strict";
import { test } from "node:test";
import { en } from "../src/texts/en";
import { zh } from "../src/texts/zh";

const HOSTILE = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "__defineGetter__", "isPrototypeOf"];

for (const [language, texts] of Object.entries({ en, zh })) {
  test(`there are no words for what nobody named: ${language}`, () => {
    for (const name of HOSTILE) {
      for (const names of [texts.events, texts.errorClasses, texts.account.roles]) assert.equal(names.get(name), undefined, name);
    }
  });
}

test("both languages have words for the same names", () => {
  for (const of of [(texts: typeof en) => texts.events, (texts: typeof en) => texts.errorClasses, (texts: typeof en) => texts.account.roles]) {
    assert.deepEqual([...of(en).keys()], [...of(zh).keys()]);
    assert.ok([...of(zh).values()].every((text) => text !== ""));
  }
});
