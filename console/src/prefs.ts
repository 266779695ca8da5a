// What this browser remembers about how the console looks and listens. Nothing about the fleet is ever stored.

import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
export type Density = "comfortable" | "compact";
interface Prefs {
  theme: Theme;
  density: Density;
  keys: "on" | "off";
}

const DEFAULTS: Prefs = { theme: "system", density: "comfortable", keys: "on" };
const listeners = new Set<() => void>();
let current: Prefs = { theme: read("theme"), density: read("density"), keys: read("keys") };

function read<K extends keyof Prefs>(name: K): Prefs[K] {
  try {
    return (localStorage.getItem(`ironroot.${name}`) as Prefs[K] | null) ?? DEFAULTS[name];
  } catch {
    return DEFAULTS[name];
  }
}

export function setPref<K extends keyof Prefs>(name: K, value: Prefs[K]): void {
  current = { ...current, [name]: value };
  try {
    if (value === DEFAULTS[name]) localStorage.removeItem(`ironroot.${name}`);
    else localStorage.setItem(`ironroot.${name}`, value);
  } catch {
    // Storage is switched off: it lasts until the page is left.
  }
  const { dataset } = document.documentElement;
  if (current.theme === "system") delete dataset.theme;
  else dataset.theme = current.theme;
  if (current.density === "compact") dataset.density = "compact";
  else delete dataset.density;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  listeners.add(listener);
  system.addEventListener("change", listener);
  return () => {
    listeners.delete(listener);
    system.removeEventListener("change", listener);
  };
}

export const usePrefs = (): Prefs => useSyncExternalStore(subscribe, () => current);
export const prefs = (): Prefs => current;

/** The theme that is on, for what is drawn rather than styled (charts). */
export function useResolvedTheme(): "light" | "dark" {
  return useSyncExternalStore(subscribe, () => {
    if (current.theme !== "system") return current.theme;
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  });
}
