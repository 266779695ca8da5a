// JSON as a person types it: the object, or the place where it stops being one and what is wrong there.
// Browsers say the place in different ways or not at all, hence a scanner of our own (RFC 8259, small and strict).

import type { JsonObject } from "./api/types";

export type Parsed = { value: JsonObject; pretty: string; error?: undefined } | { value?: undefined; pretty?: undefined; error: string };

const LARGEST_BYTES = 60_000;
const SPACE = /[ \t\n\r]*/y;
const TEXT = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

/** The JSON object in `text`, or what keeps it from being one, with line and column. */
export function parseObject(text: string): Parsed {
  if (new TextEncoder().encode(text).length > LARGEST_BYTES) return { error: "Too long: a message to a device holds 64 KiB." };
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return { error: 'It has to be an object, as in {"name": 1}.' };
    return { value: value as JsonObject, pretty: JSON.stringify(value, null, 2) };
  } catch {
    const { at, what } = fault(text) ?? { at: text.length, what: "this is not JSON" };
    const before = text.slice(0, at).split("\n");
    return { error: `Line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}: ${what}.` };
  }
}

interface Fault {
  at: number;
  what: string;
}

class Stop extends Error {
  constructor(readonly fault: Fault) {
    super(fault.what);
  }
}

/** Where and why `text` is not JSON; undefined when it is. */
export function fault(text: string): Fault | undefined {
  let at = 0;
  const stop = (what: string): never => {
    throw new Stop({ at, what: at >= text.length ? `it ends here, but ${what}` : what });
  };
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  const is = (sign: string): boolean => {
    take(SPACE);
    if (text[at] !== sign) return false;
    at += 1;
    return true;
  };
  const list = (close: string, item: () => void): void => {
    if (is(close)) return;
    do {
      item();
    } while (is(","));
    if (!is(close)) stop(`a comma or ${close} is missing`);
  };
  const value = (): void => {
    take(SPACE);
    if (is("{")) {
      list("}", () => {
        take(SPACE);
        if (!take(TEXT)) stop('a name in "quotes" is missing');
        if (!is(":")) stop("a colon is missing");
        value();
      });
    } else if (is("[")) list("]", value);
    else if (text[at] === '"') take(TEXT) || stop("this text is not closed, or holds a character that must be escaped");
    else if (!take(NUMBER) && !take(WORD)) stop("a value is missing");
  };
  try {
    value();
    take(SPACE);
    if (at < text.length) stop("nothing may follow the end");
  } catch (error) {
    if (error instanceof Stop) return error.fault;
    return { at, what: "it is nested too deep" };
  }
  return undefined;
}
