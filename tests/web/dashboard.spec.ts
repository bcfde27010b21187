import AxeBuilder from "@axe-core/playwright";
import { type Page, expect, test } from "@playwright/test";
import { Account, type Event, kill, token, visit } from "./stack";

const CAMPAIGNS = ["春季促销", "весна", "spring"];

/** A campaign's evening: what happens to `count` messages of each campaign. */
function evening(count: number): Event[] {
  const events: Event[] = [];
  const start = Date.now() - 30 * 60_000;
  for (const [place, campaignId] of CAMPAIGNS.entries()) {
    for (let number = 0; number < count; number += 1) {
      const properties = { campaignId, groupId: `g-${number % 5}`, senderId: `s-${number % 3}`, text: "限时优惠 скидка sale" };
      const happens = (eventName: string, after: number, more: object = {}) =>
        events.push({
          eventName,
          eventId: `${campaignId}/${number}/${eventName}`,
          timestamp: start + number * 1_000 + after,
          properties: { ...properties, ...more },
        });
      happens("message_queued", 0);
      happens("message_sent", 100, { latencyMs: 80 + number });
      if (number % 10 > place) happens("message_delivered", 300, { readTrackable: number % 2 === 0 });
      if (number % 4 === 0) happens("message_read", 5_000);
      if (number % 7 === 0) happens("link_clicked", 6_000, { clickerHash: `c${number}` });
      if (number % 9 === 0) happens("member_joined", 7_000);
      if (number === 3) happens("sender_flood_wait", 50, { waitS: 420 });
    }
  }
  return events;
}

const FUNNEL = { queued: "message_queued", sent: "message_sent", delivered: "message_delivered", read: "message_read", clicked: "link_clicked", joined: "member_joined" };
const RATES = ["delivery_rate", "error_rate", "read_rate", "ctr", "reply_rate", "net_growth", "flood_wait_per_1k"];

async function isLive(page: Page): Promise<void> {
  await expect(page.getByTestId("state")).toHaveAttribute("data-state", "live");
}

/** What the page shows, by test id. */
function shown(page: Page): Promise<Record<string, string>> {
  return page.locator("[data-testid^=tile-], [data-testid^=funnel-]").evaluateAll((elements) =>
    Object.fromEntries(elements.map((element) => [element.getAttribute("data-testid"), element.getAttribute("data-value")])),
  );
}

/** What the API says of the same, by the same ids. */
async function told(account: Account, scope: object): Promise<Record<string, string>> {
  const steps = Object.entries(FUNNEL);
  const counts = await account.query({ ...scope, interval: "none", queries: steps.map(([, name]) => ({ formula: `"${name}"` })) });
  const rates = await account.query({ ...scope, interval: "none", queries: RATES.map((metric) => ({ metric })) });
  const total = (answer: (typeof counts)[number]) => String(answer.series[0]?.total ?? "");
  const all: Record<string, string> = {};
  steps.forEach(([step], at) => (all[`funnel-${step}`] = total(counts[at]!)));
  RATES.forEach((id, at) => (all[`tile-${id}`] = total(rates[at]!)));
  all["tile-sent"] = all["funnel-sent"]!;
  return all;
}

/** Waits until everything that was sent is in the API's answers, and they are on the page. */
async function equalsApi(page: Page, account: Account, scope: object, sent: number): Promise<Record<string, string>> {
  let api: Record<string, string> = {};
  await expect(async () => {
    api = await told(account, scope);
    expect(api["funnel-sent"]).toBe(String(sent));
    expect(await shown(page)).toMatchObject(api);
  }).toPass({ timeout: 60_000 });
  return api;
}

test("numbers are those of the API, and move without a reload", async ({ page }) => {
  const account = new Account("web-numbers");
  await visit(page, account);
  await isLive(page);
  expect(page.url()).not.toContain("token");
  await account.send(evening(40));
  const first = await equalsApi(page, account, { period: "24h" }, 120);
  expect(first["tile-delivery_rate"]).toBe("80");

  await account.send([...Array(5)].map((_, number) => ({ eventName: "message_sent", properties: { campaignId: "spring", groupId: "g-new", number } })));
  await equalsApi(page, account, { period: "24h" }, 125);
  const groups = await account.query({ period: "24h", interval: "none", groupBy: "groupId", queries: [{ formula: "message_sent" }] });
  for (const { key, total } of groups[0]!.series) {
    await expect(page.getByTestId("groups").locator(`[data-key="${key!["groupId"]}"]`)).toHaveAttribute("data-sent", String(total));
  }
  await expect(page.getByTestId("groups").locator("[data-key='g-new'] td").last()).toHaveText("0");
  await expect(page.getByTestId("senders").locator("[data-key='s-0']")).toBeVisible();

  await page.getByTestId("campaign").selectOption("весна");
  await equalsApi(page, account, { period: "24h", filter: 'campaignId = "весна"' }, 40);
});

test("a connection that breaks heals by itself, and nothing is missed", async ({ page }) => {
  const account = new Account("web-broken");
  const open: { close(): Promise<void> }[] = [];
  let isDown = false;
  await page.routeWebSocket(/\/ws$/, (socket) => {
    if (isDown) {
      void socket.close({ code: 1011 });
      return;
    }
    socket.connectToServer();
    open.push(socket);
  });
  // The connection is there before the page knows what it will follow on it.
  await page.route("**/api/query", async (route) => {
    await page.waitForTimeout(1_500);
    await route.continue();
  });
  const one = (id: string): Event => ({ eventName: "message_sent", eventId: id, timestamp: Date.now(), properties: { campaignId: "c", text: id } });
  await visit(page, account);
  await isLive(page);
  await account.send([one("before")]);
  const ticker = page.getByTestId("ticker");
  await expect(ticker.locator("[data-event-id=before]")).toBeVisible();
  await expect(page.getByTestId("tile-sent")).toHaveAttribute("data-value", "1");

  isDown = true;
  for (const socket of open) await socket.close();
  await expect(page.getByTestId("state")).toHaveAttribute("data-state", "reconnecting");
  await expect(page.getByTestId("not-live")).toBeVisible();
  for (const id of ["during-1", "during-2", "during-3"]) {
    await account.send([one(id)]);
    await page.waitForTimeout(400);
  }
  await expect(page.getByTestId("tile-sent")).toHaveAttribute("data-value", "1");
  isDown = false;
  await isLive(page);
  await expect(page.getByTestId("not-live")).toBeHidden();
  await account.send([one("after")]);
  for (const id of ["before", "during-1", "during-2", "during-3", "after"]) {
    await expect(ticker.locator(`[data-event-id="${id}"]`)).toHaveCount(1);
  }
  await expect(page.getByTestId("tile-sent")).toHaveAttribute("data-value", "5");
});

test("what came before anybody looked is there", async ({ page }) => {
  const account = new Account("web-before");
  const names = ["first", "second"].flatMap((id) => CAMPAIGNS.map((campaignId) => ({ id: `${id} ${campaignId}`, campaignId })));
  await account.send(names.map(({ id, campaignId }, at) => ({
    eventName: "message_sent", eventId: id, timestamp: Date.now() - 60_000 + at, properties: { campaignId, text: id },
  })));
  await visit(page, account);
  const shown = page.getByTestId("ticker").locator("[data-event-id]");
  const ids = () => shown.evaluateAll((items) => items.map((item) => item.getAttribute("data-event-id")));
  await expect.poll(ids).toEqual(names.map(({ id }) => id).reverse());
  await page.getByTestId("campaign").selectOption("весна");
  await expect.poll(ids).toEqual(["second весна", "first весна"]);
});

test("after the function that streams was killed, numbers are right again", async ({ page }) => {
  test.skip(process.platform !== "linux", "finds the processes in /proc");
  const account = new Account("web-killed");
  await visit(page, account);
  await isLive(page);
  await account.send(evening(10));
  await equalsApi(page, account, { period: "24h" }, 30);
  expect(kill("StreamEvents")).toBeGreaterThan(0);
  await account.send(evening(20));
  await equalsApi(page, account, { period: "24h" }, 90);
});

test("who may not look is told why", async ({ page }) => {
  const account = new Account("web-signin");
  await page.goto(account.page.split("#")[0]!);
  const signIn = async (text: string) => {
    await page.getByTestId("token").fill(text);
    await page.keyboard.press("Enter");
  };
  const error = page.getByTestId("signin-error");
  for (const [bad, words] of [
    ["no token at all", /not an access token/],
    [account.token("viewer", { exp: 1_700_000_000 }), /2023/],
    [account.token("ingest"), /ingest/],
    [token({ accountId: account.id, role: "viewer", iss: "https://elsewhere.test" }), /iss|issu/i],
  ] as const) {
    await signIn(bad);
    await expect(error).toHaveText(words);
  }
  await signIn(account.token("viewer"));
  await isLive(page);
});

for (const { name, scheme, locale, width } of [
  { name: "light", scheme: "light", locale: "en-GB", width: 1440 },
  { name: "dark", scheme: "dark", locale: "en-GB", width: 1440 },
  { name: "Chinese, on a phone", scheme: "light", locale: "zh-CN", width: 390 },
  { name: "Russian, on a phone", scheme: "dark", locale: "ru-RU", width: 390 },
] as const) {
  test(`everybody can use it: ${name}`, async ({ browser }) => {
    const account = new Account("web-access");
    await account.send(evening(20));
    const context = await browser.newContext({ colorScheme: scheme, locale, viewport: { width, height: 844 } });
    const page = await context.newPage();
    const broken: string[] = [];
    page.on("console", (message) => message.type() === "error" && broken.push(message.text()));
    page.on("pageerror", (error) => broken.push(String(error)));
    await visit(page, account);
    await isLive(page);
    await expect(page.getByTestId("tile-sent")).toHaveAttribute("data-value", "60");
    await expect(page.locator("html")).toHaveAttribute("lang", new RegExp(`^${locale.slice(0, 2)}`));
    if (locale === "zh-CN") await expect(page.getByTestId("tile-delivery_rate")).toContainText("送达率");
    if (locale === "ru-RU") await expect(page.getByTestId("tile-delivery_rate")).toContainText("Доставка");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(overflow).toBe(0);
    const { violations } = await new AxeBuilder({ page }).analyze();
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    expect(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    expect(broken).toEqual([]);
    await context.close();
  });
}
