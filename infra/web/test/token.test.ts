import assert from "node:assert/strict";
import { test } from "node:test";
import { readToken, tidied } from "../src/session/token";

const NOW = new Date("2026-11-24T09:30:00Z");
const token = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
const claims = { accountId: "店铺ÿ>?", role: "viewer", exp: NOW.getTime() / 1000 + 60 };

test("reads account, role and end, in any script", () => {
  assert.deepEqual(readToken(token(claims), NOW), { accountId: "店铺ÿ>?", role: "viewer", expiresAt: new Date("2026-11-24T09:31:00Z") });
});

test("says what is wrong with a token", () => {
  for (const text of ["", "hello", "a.b.c", "a.b", `${token(claims)}.more`, token(null), token({ ...claims, exp: "soon" })]) {
    assert.deepEqual(readToken(text, NOW), { why: "not_a_token" }, text);
  }
  const ended = NOW.getTime() / 1000;
  assert.deepEqual(readToken(token({ ...claims, exp: ended }), NOW), { why: "expired", at: NOW });
  assert.deepEqual(readToken(token({ ...claims, role: "ingest" }), NOW), { why: "role", role: "ingest" });
});

test("takes what people paste", () => {
  assert.equal(tidied(" Authorization: Bearer a.b\n.c \n"), "a.b.c");
  assert.equal(tidied("bearer a.b.c"), "a.b.c");
});
