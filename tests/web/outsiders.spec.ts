import { type Page, expect, test } from "@playwright/test";
import { Account, type Event, visit } from "./stack";

/** Names that every plain object in JavaScript has words for. */
const HOSTILE = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "__defineGetter__"];

const state = (page: Page) => page.getByTestId("state");

/** What the page complains of, and what breaks it. */
function complaints(page: Page): string[] {
  const heard: string[] = [];
  page.on("console", (message) => message.type() === "error" && heard.push(message.text()));
  page.on("pageerror", (error) => heard.push(String(error)));
  return heard;
}

for (const locale of ["en-GB", "zh-CN"]) {
  test(`whatever events, campaigns, groups and senders are called, the page shows it: ${locale}`, async ({ browser }) => {
    const context = await browser.newContext({ locale });
    const page = await context.newPage();
    const broken = complaints(page);
    const account = new Account("web-hostile");
    const events = HOSTILE.flatMap((name, number): Event[] => {
      const properties = { campaignId: name, groupId: name, senderId: name, errorClass: name, text: name };
      // As text, so that `__proto__` is a name like any other.
      const odd = JSON.parse(`{"${name}": "${name}"}`) as Record<string, unknown>;
      const at = Date.now() - 60_000 + number;
      return [
        { eventName: name, eventId: `odd-${name}`, timestamp: at, properties: { ...properties, ...odd } },
        { eventName: "message_sent", eventId: `sent-${name}`, timestamp: at, properties },
        { eventName: "message_failed", eventId: `failed-${name}`, timestamp: at, properties },
        { eventName: "sender_banned", eventId: `banned-${name}`, timestamp: at, properties },
      ];
    });
    await visit(page, account);
    await expect(state(page)).toHaveAttribute("data-state", "live");
    await account.send(events);
    await expect(page.getByTestId("tile-sent")).toHaveAttribute("data-value", String(HOSTILE.length));
    for (const name of HOSTILE) {
      await expect(page.getByTestId("ticker").locator(`[data-event-id="odd-${name}"] .event__name`)).toHaveText(name);
      await expect(page.getByTestId("ticker").locator(`[data-event-id="failed-${name}"] .event__about`)).toContainText(name);
      await expect(page.getByTestId("groups").locator(`[data-key="${name}"]`)).toHaveAttribute("data-sent", "1");
      await expect(page.getByTestId("senders").locator(`[data-key="${name}"]`)).toBeVisible();
      await expect(page.getByTestId("campaign").getByText(name, { exact: true })).toHaveCount(1);
    }
    // A second answer of each stream is merged into the first.
    await account.send([{ eventName: "message_sent", eventId: "again", timestamp: Date.now(), properties: { campaignId: "__proto__", groupId: "__proto__" } }]);
    await expect(page.getByTestId("groups").locator('[data-key="__proto__"]')).toHaveAttribute("data-sent", "2");
    await page.getByTestId("campaign").selectOption("__proto__");
    await expect(page.getByTestId("tile-sent")).toHaveAttribute("data-value", "2");
    expect(broken).toEqual([]);
    await context.close();
  });
}

test("a link asks before it signs anybody in, and its token is nowhere in an address", async ({ page }) => {
  const [mine, other] = [new Account("web-mine"), new Account("web-other")];
  const addresses: string[] = [];
  page.on("websocket", (socket) => addresses.push(socket.url()));
  await page.goto(mine.page);
  await expect(page.getByTestId("link-account")).toHaveText(mine.id);
  await expect(page.getByTestId("link-role")).toHaveText("Viewer");
  await expect(state(page)).toBeHidden();
  expect(page.url()).not.toContain("token");
  expect(addresses).toEqual([]);
  await page.getByTestId("link-decline").click();
  await expect(page.getByTestId("signin")).toBeVisible();

  // The same document with another fragment, as a click on a link in a chat does it.
  const follow = (link: string) => page.evaluate((hash) => void (location.hash = hash), link.slice(link.indexOf("#")));
  await follow(mine.page);
  await page.getByTestId("link-accept").click();
  await expect(state(page)).toHaveAttribute("data-state", "live");
  await follow(other.page);
  await expect(page.getByTestId("link-account")).toHaveText(other.id);
  await expect(page.getByTestId("link-decline")).toContainText(mine.id);
  await page.getByTestId("link-decline").click();
  await expect(page.locator(".account__who")).toContainText(mine.id);
  await follow(other.page);
  await page.getByTestId("link-accept").click();
  await expect(page.locator(".account__who")).toContainText(other.id);
  await expect(state(page)).toHaveAttribute("data-state", "live");
  expect(addresses.length).toBeGreaterThan(1);
  for (const address of addresses) expect(address).not.toMatch(/token|eyJ|bearer/);
});

for (const { locale, because } of [
  { locale: "en-GB", because: /sent before this period/ },
  { locale: "zh-CN", because: /本时段之前发送/ },
]) {
  test(`a share is of what it is a part of, and more than all has its reason: ${locale}`, async ({ browser }) => {
    const context = await browser.newContext({ locale });
    const page = await context.newPage();
    const account = new Account("web-shares");
    const many = (eventName: string, count: number) =>
      [...Array(count)].map((_, number): Event => ({
        eventName, eventId: `${eventName}-${number}`, timestamp: Date.now() - 60_000 + number, properties: { groupId: "g-1", campaignId: "c" },
      }));
    await account.send([
      ...many("message_queued", 100), ...many("message_sent", 50), ...many("message_delivered", 51),
      ...many("link_clicked", 15), ...many("member_joined", 44), ...many("conversion_recorded", 88),
    ]);
    await visit(page, account);
    const funnel = (step: string) => page.getByTestId(`funnel-${step}`);
    await expect(funnel("converted")).toHaveAttribute("data-value", "88");
    await expect(funnel("sent").locator(".funnel__share")).toContainText("50");
    await expect(funnel("delivered").locator(".funnel__share")).toContainText("102");
    for (const step of ["queued", "clicked", "joined", "converted"]) {
      await expect(funnel(step).locator(".funnel__share")).toBeEmpty();
    }
    await expect(page.getByTestId("groups").locator("[data-key='g-1']")).toContainText("102");
    // The key figure, the funnel and the groups.
    await expect(page.getByTestId("over-hundred")).toHaveCount(3);
    for (const reason of await page.getByTestId("over-hundred").all()) await expect(reason).toHaveText(because);
    await context.close();
  });
}
