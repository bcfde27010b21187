import AxeBuilder from "@axe-core/playwright";
import { type Page, expect, test } from "@playwright/test";
import { Account, type Event, visit } from "./stack";

const MINUTE = 60_000;
const DAY = 86_400_000;
const CHANNEL = "-1000000000777";
const PAGES = ["overview", "money", "campaigns", "senders", "failures", "placements", "channels", "staying", "answers"];

/** What a small campaign sends, and what comes of it. */
function campaign(): Event[] {
  const now = Date.now();
  const of = (eventName: string, ago: number, properties: object, userId?: string): Event => ({
    eventName,
    eventId: `${eventName}-${ago}-${userId ?? ""}-${JSON.stringify(properties).length}`,
    timestamp: now - ago,
    properties: { ...properties },
    ...(userId && { userId }),
  });
  const spring = { campaignId: "spring" };
  const ad = { ...spring, placementId: "p-1", inviteLinkId: "ad-1" };
  const post = { groupId: CHANNEL };
  const sampled = { state: "active", sentToday: 10, dailyLimit: 50, proxyId: "proxy-1", phoneCountry: "KZ" };
  return [
    of("campaign_started", 20 * MINUTE, { ...spring, targets: 10, budget: 100, currency: "USD", campaignName: "Spring sale" }),
    of("campaign_started", 20 * MINUTE, { campaignId: "autumn", targets: 5 }),
    of("campaign_paused", 15 * MINUTE, { campaignId: "autumn", reason: "too many floods" }),
    ...["u1", "u2", "u3", "u4"].map((user) => of("message_sent", 9 * MINUTE, spring, user)),
    ...["u5", "u6"].map((user) => of("message_failed", 9 * MINUTE, { ...spring, errorClass: "privacy", fault: "recipient", final: true }, user)),
    of("message_failed", 9 * MINUTE, { ...spring, errorClass: "NEW_OF_TELEGRAM", fault: "sender", final: false }, "u7"),
    of("reply_received", 8 * MINUTE, { ...spring, sentiment: "positive" }, "u1"),
    of("reply_received", 8 * MINUTE, { ...spring, intent: "stop" }, "u2"),
    of("reply_received", 8 * MINUTE, { ...spring, sentiment: "negative" }, "u3"),
    ...["u1", "u2"].map((user) => of("message_sent", 5 * MINUTE, spring, user)),
    of("cost_recorded", 3 * DAY, { ...ad, amount: 25, currency: "USD", kind: "placement" }),
    of("cost_recorded", DAY, { campaignId: "autumn", amount: 1_000, currency: "RUB", kind: "ads" }),
    of("conversion_recorded", DAY, { ...spring, value: 50, margin: 30, currency: "USD" }),
    of("link_clicked", 2 * DAY, { ...ad, clickerHash: "c1" }),
    of("link_clicked", 2 * DAY, { ...ad, clickerHash: "c2", botSuspected: true }),
    of("member_joined", 2 * DAY, { ...ad, memberHash: "m1" }),
    of("member_joined", 2 * DAY - MINUTE, { ...ad, memberHash: "m2" }),
    of("member_joined", 60 * MINUTE, { ...ad, memberHash: "m3" }),
    of("member_left", 1.5 * DAY, { ...ad, memberHash: "m1", daysSinceJoin: 0.5, reason: "left" }),
    of("post_stats_sampled", 2 * DAY, { ...post, postId: "1", views: 40, ageMinutes: 60 }),
    of("post_stats_sampled", DAY, { ...post, placementId: "p-1", postId: "1", views: 100, ageMinutes: 1_440 }),
    of("post_stats_sampled", DAY, { ...post, postId: "2", views: 200, ageMinutes: 1_440 }),
    of("post_stats_sampled", DAY - 1, { ...post, postId: "3", views: 600, ageMinutes: 1_440 }),
    of("group_stats_sampled", 60 * MINUTE, { ...post, members: 1_000, kind: "channel", groupName: "Shop channel" }),
    ...["s-1", "s-2", "s-3"].map((senderId, at) => of("sender_stats_sampled", 30 * MINUTE + at, { ...sampled, senderId })),
    of("sender_banned", 10 * MINUTE, { senderId: "s-2" }),
    of("sender_restricted", 10 * MINUTE, { senderId: "s-3", kind: "spam_block", until: new Date(now + DAY).toISOString() }),
  ];
}

const open = (page: Page, name: string) => page.getByTestId(`page-${name}`).click();
const fact = (page: Page, id: string) => page.getByTestId(`fact-${id}`);
const row = (page: Page, table: string, key: string) => page.getByTestId(table).locator(`[data-key="${key}"]`);
const cell = (page: Page, table: string, key: string, column: string) => row(page, table, key).locator(`[data-column="${column}"] .number`);

/** Sends the campaign, and waits until all of it can be asked for. */
async function sent(name: string): Promise<Account> {
  const account = new Account(name);
  const events = campaign();
  await account.send(events);
  const names = [...new Set(events.map(({ eventName }) => eventName))];
  const count = async (some: string[]) => {
    const answers = await account.query({ period: "7d", interval: "none", queries: some.map((event) => ({ formula: `"${event}"` })) });
    return answers.reduce((sum, { series }) => sum + (series[0]?.total ?? 0), 0);
  };
  await expect.poll(async () => (await count(names.slice(0, 10))) + (await count(names.slice(10)))).toBe(events.length);
  return account;
}

async function visitWeek(page: Page, account: Account): Promise<void> {
  await visit(page, account);
  await page.getByTestId("period").locator('input[value="7d"]').check();
}

test("each page shows what its events say", async ({ page }) => {
  const account = await sent("web-pages");
  await visitWeek(page, account);

  await open(page, "money");
  for (const [id, value] of Object.entries({
    "spend-USD": "25", "spend-RUB": "1000", "revenue-USD": "50", "margin-USD": "30", "roi-USD": "100", "margin_roi-USD": "20",
    "cost_per_stayed-USD": "12.5", "cpm-USD": "250",
  })) {
    await expect(fact(page, id), id).toHaveAttribute("data-value", value);
  }
  await expect(cell(page, "budgets", "spring USD", "budget")).toHaveAttribute("data-value", "100");
  await expect(row(page, "budgets", "spring USD")).toContainText("25.0%");

  await open(page, "campaigns");
  await expect(cell(page, "progress", "spring", "done")).toHaveAttribute("data-value", "8");
  await expect(row(page, "progress", "spring")).toContainText(/Spring sale.*Running.*8 of 10/s);
  await expect(row(page, "progress", "autumn")).toContainText(/Paused.*too many floods/s);

  await open(page, "senders");
  for (const [id, value] of Object.entries({ active: "1", limited: "1", frozen: "0", banned: "1", logged_out: "0", left: "40" })) {
    await expect(fact(page, id), id).toHaveAttribute("data-value", value);
  }
  await expect(cell(page, "pool", "s-2", "state")).toHaveAttribute("data-value", "banned");
  await expect(cell(page, "pool-proxies", "proxy-1", "out")).toHaveAttribute("data-value", "2");

  await open(page, "failures");
  await expect(cell(page, "failures", "privacy/recipient", "final")).toHaveAttribute("data-value", "2");
  await expect(row(page, "failures", "privacy/recipient")).toContainText("off the list");
  await expect(row(page, "failures", "NEW_OF_TELEGRAM/sender")).toContainText("NEW_OF_TELEGRAM");
  await expect(row(page, "failures", "NEW_OF_TELEGRAM/sender").locator(".advice")).toHaveCount(0);

  await open(page, "placements");
  for (const [column, value] of Object.entries({ price: "25", views: "100", cpm: "250", clicks: "1", joins: "3", gone1: "1", gone7: "1", perStayed: "12.5" })) {
    await expect(cell(page, "placements", "p-1", column), column).toHaveAttribute("data-value", value);
  }

  await open(page, "channels");
  for (const [column, value] of Object.entries({ views1: "40", views24: "300", err24: "30", members: "1000", usual: "0.5" })) {
    await expect(cell(page, "channels", CHANNEL, column), column).toHaveAttribute("data-value", value);
  }
  await expect(row(page, "channels", CHANNEL)).toContainText("Shop channel");

  await open(page, "staying");
  await expect(cell(page, "staying-links", "ad-1", "joined")).toHaveAttribute("data-value", "3");
  await expect(cell(page, "staying-campaigns", "spring", "after1")).toHaveAttribute("data-value", "50");
  await expect(row(page, "staying-links", "ad-1").locator('[data-column="after1"]')).toContainText("1 of 2");
  await expect(row(page, "staying-links", "ad-1").locator('[data-column="after7"]')).toContainText("too early");

  await open(page, "answers");
  for (const [id, value] of Object.entries({ waiting: "1", replied: "3", answered: "2", positive: "50", stopped: "1", written: "1" })) {
    await expect(fact(page, id), id).toHaveAttribute("data-value", value);
  }
});

test("a number leads to its events, and back", async ({ page }) => {
  const account = await sent("web-evidence");
  await visitWeek(page, account);
  await open(page, "placements");
  const joins = cell(page, "placements", "p-1", "joins");
  await joins.focus();
  await page.keyboard.press("Enter");
  const drawer = page.getByTestId("evidence");
  await expect(page.getByTestId("evidence-count")).toHaveAttribute("data-value", "3");
  await expect(drawer.locator("[data-event-id^=member_joined]")).toHaveCount(3);
  await expect(drawer.locator("[data-event-id]")).toHaveCount(3);
  await expect(drawer).toContainText("m3");
  await page.keyboard.press("Escape");
  await expect(drawer).toBeHidden();
  await expect(joins).toBeFocused();

  await open(page, "senders");
  await fact(page, "banned").locator(".number").click();
  await expect(drawer.locator("[data-event-id^=sender_banned]")).toHaveCount(1);
  await page.getByTestId("evidence-close").click();
  await expect(drawer).toBeHidden();

  await open(page, "failures");
  await cell(page, "failures", "privacy/recipient", "failures").click();
  await expect(drawer.locator("[data-event-id^=message_failed]")).toHaveCount(2);
});

test("a page is an address, asks for what is chosen, and for nothing once nobody is signed in", async ({ page }) => {
  const account = new Account("web-address");
  await visit(page, account);
  await open(page, "money");
  await expect(page).toHaveURL(/#page=money&period=24h$/);
  await expect(page.getByTestId("page-money")).toHaveAttribute("aria-current", "page");
  // Nothing was sent: the page says what to send.
  await expect(page.getByTestId("panel-money")).toContainText("Send cost_recorded");

  const asked = page.waitForRequest((request) => request.url().endsWith("/api/query") && (request.postData() ?? "").includes('"period":"30d"'));
  await page.getByTestId("period").locator('input[value="30d"]').check();
  await asked;
  await expect(page).toHaveURL(/#page=money&period=30d$/);
  await page.goBack();
  await expect(page.getByTestId("page-overview")).toHaveAttribute("aria-current", "page");
  await expect(page.getByTestId("tile-sent")).toBeVisible();
  await page.goForward();
  await page.getByTestId("page-senders").focus();
  await page.keyboard.press("Enter");
  await expect(page.getByTestId("panel-pool")).toContainText("Send sender_stats_sampled");

  const requests: string[] = [];
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByTestId("signin")).toBeVisible();
  page.on("request", (request) => request.url().includes("/api/") && requests.push(request.url()));
  await page.evaluate(() => document.dispatchEvent(new CustomEvent("visibilitychange")));
  await page.waitForTimeout(500);
  expect(requests).toEqual([]);
});

for (const { name, scheme, locale, width } of [
  { name: "light", scheme: "light", locale: "en-GB", width: 1440 },
  { name: "Chinese, dark", scheme: "dark", locale: "zh-CN", width: 1440 },
  { name: "Russian, on a phone", scheme: "light", locale: "ru-RU", width: 390 },
] as const) {
  test(`everybody can use every page: ${name}`, async ({ browser }) => {
    const account = await sent("web-pages-access");
    const context = await browser.newContext({ colorScheme: scheme, locale, viewport: { width, height: 844 } });
    const page = await context.newPage();
    const broken: string[] = [];
    page.on("console", (message) => message.type() === "error" && broken.push(message.text()));
    page.on("pageerror", (error) => broken.push(String(error)));
    await visit(page, account);
    for (const each of PAGES.slice(1)) {
      await open(page, each);
      await expect(page.locator(`main[data-page="${each}"]`)).toBeVisible();
      await expect(page.locator("main .number").first()).toBeVisible();
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(overflow, each).toBe(0);
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, nodes }) => [each, id, nodes.map(({ html }) => html)])).toEqual([]);
    }
    expect(broken).toEqual([]);
    await context.close();
  });
}
