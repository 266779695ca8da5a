// The live connection: one EventSource, reopened with back-off. What it hears is written into the queries' cache,
// so pages show live values without knowing of it. After a gap everything on screen is asked for again.

import { type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { isUnauthenticated } from "../api/client";
import { type FactFilter, me } from "../api/queries";
import type { Device, DeviceChange, DeviceRow, Fact, Page, Pulse } from "../api/types";

export interface LiveState {
  status: "connecting" | "live" | "cut";
  /** When the next attempt is due (milliseconds since the epoch), while cut. */
  retryAt: number | null;
  pulse: Pulse | null;
  /** Messages per second, one sample per second, newest last. */
  samples: readonly number[];
}

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
const SAMPLES = 60;
const HIDDEN_FOR_MS = 60_000;
const REFETCH_EVERY_MS = 2_000;
const SETTLE_MS = 150;

let state: LiveState = { status: "connecting", retryAt: null, pulse: null, samples: [] };
const listeners = new Set<() => void>();
let source: EventSource | null = null;
let queries: QueryClient | null = null;
let attempts = 0;
let retryTimer: number | undefined;
let hiddenTimer: number | undefined;
let everLive = false;

export const useLive = (): LiveState =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );

function set(change: Partial<LiveState>): void {
  state = { ...state, ...change };
  for (const listener of listeners) listener();
}

/** Opens the stream; the function returned closes it. */
export function startLive(client: QueryClient): () => void {
  queries = client;
  everLive = false;
  open();
  const sampler = window.setInterval(sample, 1_000);
  window.addEventListener("online", retryNow);
  document.addEventListener("visibilitychange", onVisibility);
  return () => {
    window.clearInterval(sampler);
    window.clearTimeout(hiddenTimer);
    window.removeEventListener("online", retryNow);
    document.removeEventListener("visibilitychange", onVisibility);
    close();
    set({ status: "connecting", retryAt: null, pulse: null, samples: [] });
  };
}

export function retryNow(): void {
  if (state.status === "live") return;
  attempts = 0;
  open();
}

function open(): void {
  close();
  const opened = new EventSource("/api/v1/stream");
  source = opened;
  set({ status: state.status === "cut" ? "cut" : "connecting", retryAt: null });
  opened.onopen = () => {
    attempts = 0;
    set({ status: "live", retryAt: null });
    if (everLive) void queries?.invalidateQueries(); // what happened during the gap was not heard
    everLive = true;
  };
  opened.onerror = () => {
    if (source !== opened) return;
    close();
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempts) * (0.75 + Math.random() / 2);
    attempts += 1;
    set({ status: "cut", retryAt: Date.now() + wait });
    retryTimer = window.setTimeout(open, wait);
    void leaveIfSignedOut();
  };
  opened.addEventListener("pulse", (event) => hear<Pulse>(event, (pulse) => set({ pulse })));
  opened.addEventListener("device", (event) => hear<DeviceChange>(event, onDevice));
  opened.addEventListener("fact", (event) => hear<Fact>(event, onFact));
  opened.addEventListener("resync", () => void queries?.invalidateQueries()); // we were too slow: read anew
}

function close(): void {
  window.clearTimeout(retryTimer);
  source?.close();
  source = null;
}

/** An event source cannot say why it failed; the session may have ended. A 401 here leads to the sign-in page. */
async function leaveIfSignedOut(): Promise<void> {
  try {
    await queries?.fetchQuery({ ...me(), staleTime: 0, retry: false });
  } catch (error) {
    if (isUnauthenticated(error)) close();
  }
}

/** A page nobody looks at for a minute gives its connection back. */
function onVisibility(): void {
  window.clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = window.setTimeout(close, HIDDEN_FOR_MS);
  else if (source === null) {
    set({ status: "connecting" });
    open();
  }
}

function hear<T>(event: Event, then: (value: T) => void): void {
  let value: T;
  try {
    value = JSON.parse((event as MessageEvent<string>).data) as T;
  } catch {
    return; // one garbled event must not end the stream; the next refetch sets it right
  }
  then(value);
}

function sample(): void {
  if (!state.pulse || state.status !== "live" || document.hidden) return;
  set({ samples: [...state.samples, state.pulse.messages_per_second].slice(-SAMPLES) });
}

function onDevice({ id, connected, last_seen, trust }: DeviceChange): void {
  const news = { ...(connected !== undefined && { connected }), ...(last_seen && { last_seen }) };
  queries?.setQueriesData<Page<DeviceRow>>({ queryKey: ["devices"] }, (page) => {
    if (!page?.items.some((row) => row.id === id)) return page;
    const items = page.items.map((row) => (row.id === id ? { ...row, ...news, ...(trust && { trust: { ...row.trust, state: trust } }) } : row));
    return { ...page, items };
  });
  queries?.setQueryData<Device>(["device", id], (old) => old && { ...old, ...news });
  // What belongs to the change (reasons, capabilities, the connection) is asked for rather than guessed.
  soon(["device", id]);
}

function onFact(fact: Fact): void {
  if (state.pulse && fact.seq > state.pulse.head) set({ pulse: { ...state.pulse, head: fact.seq } });
  for (const [key] of queries?.getQueriesData<InfiniteData<Page<Fact>>>({ queryKey: ["facts"] }) ?? []) {
    if (!matches(fact, key[1] as FactFilter)) continue;
    queries?.setQueryData<InfiniteData<Page<Fact>>>(key, (old) => prepended(old, fact));
  }
  const [noun, name] = fact.subject.split("/", 2);
  if (noun === "device" && name) {
    soon(["device", name]);
    if (fact.kind.startsWith("command.")) soon(["commands", name]);
    if (fact.kind.startsWith("certificate.")) soon(["certificates", name]);
  }
  if (!fact.kind.startsWith("session.")) soon(["overview"]);
  if (/^(device|trust|certificate)\./.test(fact.kind)) soon(["devices"]);
  if (fact.kind.startsWith("apikey.")) soon(["apikeys"]);
  if (fact.kind.startsWith("session.")) soon(["sessions"]);
  if (/^(user|link)\./.test(fact.kind)) soon(["users"]);
  if (fact.kind === "device.grouped") soon(["groups"]);
}

function matches(fact: Fact, filter: FactFilter): boolean {
  if (filter.at !== undefined) return false; // looking at the past
  if (filter.device) return fact.subject === `device/${filter.device}`;
  return (!filter.kind || fact.kind === filter.kind) && (!filter.subject || fact.subject === filter.subject);
}

function prepended(old: InfiniteData<Page<Fact>> | undefined, fact: Fact): InfiniteData<Page<Fact>> | undefined {
  const [first, ...rest] = old?.pages ?? [];
  if (!old || !first) return old;
  if (first.items.some((known) => known.seq === fact.seq)) return old;
  return { ...old, pages: [{ ...first, items: [fact, ...first.items] }, ...rest] };
}

const lastAsked = new Map<string, number>();
const due = new Set<string>();

/** Ask again for `key`: at once after silence, at most once per interval however many events say so. */
function soon(key: readonly unknown[]): void {
  const name = JSON.stringify(key);
  if (due.has(name)) return;
  due.add(name);
  const wait = Math.max(SETTLE_MS, (lastAsked.get(name) ?? 0) + REFETCH_EVERY_MS - Date.now());
  window.setTimeout(() => {
    due.delete(name);
    lastAsked.set(name, Date.now());
    void queries?.invalidateQueries({ queryKey: key });
  }, wait);
}
