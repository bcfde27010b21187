import { computed, effect, signal } from "@preact/signals";

export const THEMES = ["light", "dark", "auto"] as const;
export type Theme = (typeof THEMES)[number];

const KEPT_AS = "analytics.theme";
const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
const systemTheme = signal(systemIsDark.matches ? "dark" : "light");
systemIsDark.addEventListener("change", () => {
  systemTheme.value = systemIsDark.matches ? "dark" : "light";
});

export const theme = signal<Theme>(THEMES.find((known) => known === localStorage.getItem(KEPT_AS)) ?? "auto");

/** What is to be seen. */
export const appearance = computed(() => (theme.value === "auto" ? systemTheme.value : theme.value));

export function choose(chosen: Theme): void {
  localStorage.setItem(KEPT_AS, chosen);
  theme.value = chosen;
}

effect(() => {
  document.documentElement.dataset["theme"] = appearance.value;
});
