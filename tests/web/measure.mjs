// Opens the page several times, each in a fresh profile, and prints what was transferred and when the first number was there.
// A token in the URL's fragment is that of somebody who has signed in before, so that nobody is asked.
// Usage: measure.mjs URL ROUNDS, with a Chromium in BROWSER
import { chromium } from "@playwright/test";

const [link, rounds] = process.argv.slice(2);
const [url, fragment] = link.split("#");
const token = new URLSearchParams(fragment).get("token");
const { BROWSER } = process.env;
const browser = await chromium.launch({
  ...(BROWSER && { executablePath: BROWSER }),
  chromiumSandbox: process.getuid?.() !== 0,
});

async function visit() {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  if (token) await context.addInitScript((kept) => sessionStorage.setItem("analytics.token", kept), token);
  const page = await context.newPage();
  const network = await context.newCDPSession(page);
  let bytes = 0;
  network.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  await network.send("Network.enable");
  await page.goto(url);
  await page.waitForFunction(() => performance.getEntriesByName("first-number").length > 0, null, { polling: 100 });
  const milliseconds = await page.evaluate(() => performance.getEntriesByName("first-number")[0].startTime);
  await context.close();
  // What the page has asked for is still being answered.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  return { bytes, milliseconds };
}

// The browser's own start is not the page's.
await visit();
const visits = [];
for (let round = 0; round < Number(rounds); round += 1) visits.push(await visit());
await browser.close();
console.log(JSON.stringify(visits));
