import assert from "node:assert/strict";
import { test } from "node:test";
import { formatsFor } from "../src/formats";

const en = formatsFor("en-GB", "Asia/Shanghai");
const zh = formatsFor("zh-CN", "Asia/Shanghai");

test("small shares keep a second digit, large amounts become short", () => {
  assert.equal(en.value("percent", 95.24), "95.2%");
  assert.equal(en.value("percent", 0.426), "0.43%");
  assert.equal(en.value("percent", 0), "0.0%");
  assert.equal(en.value("count", 9_999_999), "9,999,999");
  assert.match(en.value("count", 12_340_000), /^12\.3M$/i);
  assert.equal(zh.value("count", 12_340_000), "1234万");
  assert.equal(en.value("net", 12), "+12");
});

test("changes always have a sign, and nothing is neither more nor less", () => {
  assert.equal(en.change({ as: "points", amount: 0.8 }, "pp"), "+0.8 pp");
  assert.equal(en.change({ as: "fraction", amount: -0.1 }, "pp"), "-10%");
  assert.equal(en.change({ as: "points", amount: -0.001 }, "pp"), "0 pp");
  assert.equal(zh.change({ as: "points", amount: 1.25 }, "个百分点"), "+1.25 个百分点");
});

test("a length of time has its two largest parts", () => {
  assert.equal(en.duration(9_125), "2h 32m");
  assert.equal(en.duration(3_605), "1h");
  assert.equal(en.duration(90_061), "1d 1h");
  assert.equal(en.duration(0), "0s");
  assert.equal(zh.duration(75), "1分钟 15秒");
});

test("times are those of the zone", () => {
  assert.equal(en.clock(new Date("2026-11-24T16:00:03Z")), "00:00:03");
  assert.equal(en.day(new Date("2026-11-24T16:00:03Z")), "25 Nov");
});

test("money always has its currency, and parts of a cent only where they count", () => {
  assert.equal(en.money(1234.5, "GBP"), "£1,234.50");
  assert.equal(en.money(1_234_567.8, "GBP"), "£1,234,568");
  assert.equal(en.money(0.0123, "USD"), "US$0.0123");
  assert.equal(en.money(-3, "USDT"), "-3.00 USDT");
  assert.equal(en.money(5, "XTR").replace(/\s/g, " "), "XTR 5");
  assert.equal(en.money(5, null), "5.00");
  assert.equal(formatsFor("ru-RU").money(1000, "RUB").replace(/\s/g, " "), "1 000,00 ₽");
});
