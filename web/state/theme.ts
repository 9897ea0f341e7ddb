import { signal } from "@preact/signals";

const KEY = "hearth-theme";
const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

export const theme = signal<Theme>(known(localStorage.getItem(KEY)));
/** What is seen; charts draw by it, at once when it changes. */
export const isDark = signal(false);

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system";
  localStorage.setItem(KEY, theme.value);
  applyTheme();
}

export function applyTheme(): void {
  const isDarkNow = theme.value === "dark" || (theme.value === "system" && prefersDark.matches);
  // First, as whoever draws takes the colours from there.
  document.documentElement.dataset["theme"] = isDarkNow ? "dark" : "light";
  isDark.value = isDarkNow;
}

prefersDark.addEventListener("change", applyTheme);

function known(text: string | null): Theme {
  return THEMES.find((name) => name === text) ?? "system";
}
