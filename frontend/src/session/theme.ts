import { computed, ref, watchEffect } from "vue";

export type Theme = "system" | "light" | "dark";

const KEY = "callcenter.theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = ref(dark.matches);
dark.addEventListener("change", (event) => (systemIsDark.value = event.matches));

export const theme = ref<Theme>((localStorage.getItem(KEY) as Theme | null) ?? "system");

/** What the choice comes to now. */
export const isDark = computed(
  () => theme.value === "dark" || (theme.value === "system" && systemIsDark.value),
);

/** Keeps `<html data-theme>` in step with the system's theme and the user's own choice. */
export function followTheme(): void {
  watchEffect(() => {
    document.documentElement.dataset.theme = isDark.value ? "dark" : "light";
    localStorage.setItem(KEY, theme.value);
  });
}
