// What an act has led to, said once in a corner and to screen readers.

import { useSyncExternalStore } from "react";
import { Button } from "./Button";
import { Icon } from "./Icon";

interface Toast {
  id: number;
  text: string;
}

const SHOWN_MS = 6_000;
const listeners = new Set<() => void>();
let toasts: readonly Toast[] = [];
let last = 0;

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

export function say(text: string): void {
  last += 1;
  const id = last;
  set([...toasts, { id, text }].slice(-3));
  window.setTimeout(() => dismiss(id), SHOWN_MS);
}

const dismiss = (id: number): void => set(toasts.filter((toast) => toast.id !== id));

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div className="toasts" role="status">
      {shown.map((toast) => (
        <div key={toast.id} className="toast">
          <Icon name="check" /> <span>{toast.text}</span>
          <Button tone="quiet" icon="cross" aria-label="Dismiss" onClick={() => dismiss(toast.id)} />
        </div>
      ))}
    </div>
  );
}
