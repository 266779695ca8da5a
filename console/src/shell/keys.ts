// Single keys, as in the tools people know. They can be switched off (WCAG 2.1.4) and never act while text is typed.

import { useEffect, useRef } from "react";
import { prefs } from "../prefs";

export type Keys = Record<string, (event: KeyboardEvent) => void>;

const CHORD_MS = 900;

/** Calls the entry named by the key pressed ("j", "/", "?"), or by two in a row ("g d"). */
export function useKeys(keys: Keys): void {
  const latest = useRef(keys);
  useEffect(() => {
    latest.current = keys;
  });
  useEffect(() => {
    let first: { key: string; at: number } | undefined;
    const listen = (event: KeyboardEvent) => {
      if (prefs().keys === "off" || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const chord = first && event.timeStamp - first.at < CHORD_MS ? `${first.key} ${event.key}` : undefined;
      first = { key: event.key, at: event.timeStamp };
      const act = (chord && latest.current[chord]) || latest.current[event.key];
      if (!act) return;
      if (chord && latest.current[chord]) first = undefined;
      act(event);
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
}

export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}
