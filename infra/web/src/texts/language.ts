import { computed, effect, signal } from "@preact/signals";
import { formatsFor } from "../formats";
import { en } from "./en";
import { zh } from "./zh";

export const LANGUAGES = { en: "EN", zh: "中文" } as const;
export type Language = keyof typeof LANGUAGES;

const KEPT_AS = "analytics.language";
const TAGS: Record<Language, string> = { en: "en", zh: "zh-CN" };

function preferred(): Language {
  const kept = localStorage.getItem(KEPT_AS);
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.startsWith("zh") ? "zh" : "en";
}

export const language = signal<Language>(preferred());
export const texts = computed(() => ({ en, zh })[language.value]);

/** The viewer's own way of writing numbers and dates, if it is of the language that the page is in. */
export const formats = computed(() => {
  const own = navigator.languages.find((tag) => tag.split("-")[0] === language.value);
  return formatsFor(own ?? TAGS[language.value]);
});

export function speak(chosen: Language): void {
  localStorage.setItem(KEPT_AS, chosen);
  language.value = chosen;
}

effect(() => {
  document.documentElement.lang = TAGS[language.value];
});
