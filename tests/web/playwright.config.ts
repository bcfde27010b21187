import { defineConfig } from "@playwright/test";

const { BROWSER } = process.env;

export default defineConfig({
  testDir: ".",
  // What takes a minute has failed: the promise of the service.
  timeout: 90_000,
  expect: { timeout: 30_000 },
  reporter: "list",
  workers: 1,
  use: {
    launchOptions: {
      ...(BROWSER && { executablePath: BROWSER }),
      // Chromium has no sandbox for root.
      chromiumSandbox: process.getuid?.() !== 0,
    },
    locale: "en-GB",
    timezoneId: "Asia/Shanghai",
    viewport: { width: 1440, height: 900 },
  },
});
