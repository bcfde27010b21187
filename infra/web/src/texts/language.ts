import { computed, effect, signal } from "@preact/signals";
import { formatsFor } from "../formats";
import { en } from "./en";
import { ru } from "./ru";
import { zh } from "./zh";

export const LANGUAGES = { en: "EN", zh: "中文", ru: "RU" } as const;
export type Language = keyof typeof LANGUAGES;

const KEPT_AS = "analytics.language";
const TAGS: Record<Language, string> = { en: "en", zh: "zh-CN", ru: "ru-RU" };
const KNOWN = Object.keys(LANGUAGES) as Language[];

function preferred(): Language {
  const kept = localStorage.getItem(KEPT_AS);
  const own = navigator.language.split("-")[0];
  return KNOWN.find((language) => language === kept) ?? KNOWN.find((language) => language === own) ?? "en";
}

export const language = signal<Language>(preferred());
export const texts = computed(() => ({ en, zh, ru })[language.value]);

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
