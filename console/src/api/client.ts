// The one place that talks HTTP. Every failure leaves here as an ApiError holding a problem document.

import type { Problem } from "./types";

const TIMEOUT_MS = 20_000;

export class ApiError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.name = "ApiError";
    this.problem = problem;
  }
}

export function isUnauthenticated(error: unknown): boolean {
  return error instanceof ApiError && error.problem.status === 401;
}

type Query = Record<string, string | number | boolean | null | undefined>;
type Method = "GET" | "POST" | "PUT" | "DELETE";

interface Options {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal;
}

/** The answer's JSON (undefined when there is none). Throws ApiError. */
export async function call<T>(method: Method, path: string, options: Options = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-Ironroot"] = "console"; // no other site can set it: the defence against forged requests
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  let text: string;
  try {
    response = await fetch(`/api/v1${path}${queryString(options.query)}`, {
      method,
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      credentials: "same-origin",
      signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
    });
    text = await response.text();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(limit.aborted ? TOO_SLOW : UNREACHABLE);
  }
  if (!response.ok) throw new ApiError(problemOf(response, text));
  if (!text) return undefined as T;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError(problemOf(response, ""));
  }
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> =>
  call<T>("GET", path, { ...(query && { query }), ...(signal && { signal }) });
export const post = <T>(path: string, body: unknown = {}): Promise<T> => call<T>("POST", path, { body });
export const put = <T>(path: string, body: unknown = {}): Promise<T> => call<T>("PUT", path, { body });
export const del = (path: string): Promise<void> => call<void>("DELETE", path);

/** `path` with every part made safe for a URL. */
export const at = (...parts: string[]): string => parts.map((part) => `/${encodeURIComponent(part)}`).join("");

function queryString(query: Query | undefined): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return text && `?${text}`;
}

function problemOf(response: Response, text: string): Problem {
  if (response.headers.get("Content-Type")?.includes("json")) {
    try {
      const body: unknown = JSON.parse(text);
      if (typeof body === "object" && body !== null && "title" in body) {
        return { ...(body as Problem), status: response.status };
      }
    } catch {
      // not a problem document: described below
    }
  }
  const { status } = response;
  if (status === 401) {
    return { type: "urn:ironroot:problem:unauthenticated", title: "Signed out", status, detail: "This browser has no valid session.", remedy: "Sign in again." };
  }
  if (status === 502 || status === 503 || status === 504) {
    return { ...UNREACHABLE, status, detail: "The front door answers, the platform behind it does not." };
  }
  return {
    type: "urn:ironroot:problem:unexpected",
    title: "An answer that makes no sense",
    status,
    detail: `The platform answered with status ${status} and without a problem document.`,
    remedy: "Reload the page; if it stays, look into the platform's log.",
  };
}

const UNREACHABLE: Problem = {
  type: "urn:ironroot:problem:unreachable",
  title: "The platform cannot be reached",
  status: 0,
  detail: "No connection to the platform.",
  remedy: "See whether it runs: ironroot status",
};

const TOO_SLOW: Problem = {
  type: "urn:ironroot:problem:too-slow",
  title: "No answer in time",
  status: 0,
  detail: `The platform did not answer within ${TIMEOUT_MS / 1000} seconds.`,
  remedy: "Try again; if it stays, see: ironroot status",
};
