// The present, for "3 s ago": one timer for the whole page, however many instants are shown.

import { useSyncExternalStore } from "react";

const EVERY_MS = 5_000;
const listeners = new Set<() => void>();
let now = new Date();
let timer: number | undefined;

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    now = new Date();
    timer = window.setInterval(() => {
      now = new Date();
      for (const each of listeners) each();
    }, EVERY_MS);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) window.clearInterval(timer);
  };
}

export const useNow = (): Date => useSyncExternalStore(subscribe, () => now);
