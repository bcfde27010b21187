import { LANGUAGES, type Language, language, speak, texts } from "../texts/language";
import { Segmented } from "./Segmented";
import { THEMES, choose, theme } from "./theme";

const PICTURES = {
  light: "M8 4.8a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M3 13l1.2-1.2M11.8 4.2 13 3",
  dark: "M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1z",
  auto: "M2 3h12v8H2zM6 14h4M8 11v3",
};

export function Preferences() {
  const say = texts.value;
  const names = Object.entries(LANGUAGES) as [Language, string][];
  return (
    <div class="preferences">
      <Segmented
        id="lang"
        label={say.language}
        choices={names.map(([value, label]) => ({ value, label, lang: value }))}
        chosen={language.value}
        choose={speak}
      />
      <Segmented
        id="theme"
        label={say.theme.label}
        choices={THEMES.map((value) => ({ value, means: say.theme[value], label: <Picture of={value} /> }))}
        chosen={theme.value}
        choose={choose}
      />
    </div>
  );
}

function Picture({ of }: { of: keyof typeof PICTURES }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PICTURES[of]} />
    </svg>
  );
}
