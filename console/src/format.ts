// Numbers, instants and spans as people read them. Pure: `now` is an argument.

import type { TelemetryValue } from "./api/types";

const plain = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 1 });
const zone = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });

export const count = (n: number): string => (Math.abs(n) < 1_000_000 ? plain.format(n) : compact.format(n));
export const rate = (n: number): string => (n >= 100 || Number.isInteger(n) ? plain.format(n) : one.format(n));
export const plural = (n: number, noun: string, many = `${noun}s`): string => `${count(n)} ${n === 1 ? noun : many}`;

export function bytes(n: number): string {
  if (n < 1024) return `${plain.format(n)} B`;
  if (n < 1024 ** 2) return `${one.format(n / 1024)} KiB`;
  return `${one.format(n / 1024 ** 2)} MiB`;
}

const significant = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 5 });

export function value(v: TelemetryValue): string {
  if (typeof v === "number") return Number.isInteger(v) ? plain.format(v) : significant.format(v);
  return typeof v === "boolean" ? (v ? "true" : "false") : v;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** 2026-11-23 14:03:22, in this browser's time zone. */
export function localTime(at: Date): string {
  return `${localDate(at)} ${clock(at)}`;
}

export const localDate = (at: Date): string => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const days = new Intl.DateTimeFormat("en-GB", { weekday: "long" });
export const weekday = (at: Date): string => days.format(at);
export const clock = (at: Date): string => `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
export const hourMinute = (at: Date): string => `${two(at.getHours())}:${two(at.getMinutes())}`;

/** Local time with its zone, and UTC below it: the title of every instant shown. */
export function fullTime(at: Date): string {
  const name = zone.formatToParts(at).find((part) => part.type === "timeZoneName")?.value ?? "local";
  return `${localTime(at)} ${name}\n${at.toISOString().replace("T", " ").replace(/\.\d+Z$/, "")} UTC`;
}

const STEPS: [number, string][] = [
  [60, "s"],
  [60, "min"],
  [24, "h"],
  [Number.POSITIVE_INFINITY, "d"],
];

/** A span in its largest sensible unit: 42 s, 5 min, 3 h, 12 d. */
export function span(ms: number): string {
  let n = Math.max(0, Math.round(ms / 1000));
  for (const [size, unit] of STEPS) {
    if (n < size) return `${n} ${unit}`;
    n = Math.floor(n / size);
  }
  return "";
}

const TICK_MS = 6_000;

/** "3 s ago", "in 12 d", "now". */
export function relative(at: Date, now: Date): string {
  const ms = at.getTime() - now.getTime();
  if (ms > -1500 && ms < TICK_MS) return "now"; // the clock of the page moves in steps
  return ms < 0 ? `${span(-ms)} ago` : `in ${span(ms)}`;
}

/** A hexadecimal name in groups of four, so that two people can compare it aloud. */
export const grouped = (hex: string): string => hex.replace(/(.{4})(?=.)/g, "$1 ");

export const DURATION = /^0*[1-9]\d{0,6}[smhdw]$/;
