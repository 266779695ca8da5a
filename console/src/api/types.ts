// What the platform says and hears at /api/v1. Field names are the API's own; `Instant` is RFC 3339 in UTC.

export type Instant = string;
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export interface Page<T> {
  items: T[];
  next: string | null;
}

/** RFC 9457, with what the person can do about it. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
  remedy?: string;
}

export const TRUST_STATES = ["trusted", "restricted", "quarantined", "revoked", "unknown"] as const;
export type TrustState = (typeof TRUST_STATES)[number];
export type ByTrust = Partial<Record<TrustState, number>>;

export const CAPABILITIES = ["publish", "publish-event", "subscribe", "status", "enrol", "renew", "update"] as const;
export type Capability = (typeof CAPABILITIES)[number];

export interface Reason {
  code: string;
  text: string;
  fact: number | null;
}

export interface Me {
  id: string;
  name: string;
  role: string;
  kind: "user" | "apikey" | "host";
  permissions: string[];
}

export interface Warning {
  code: string;
  text: string;
  remedy: string;
}

export interface Status {
  ready: boolean;
  version: string;
  doors: Record<string, { address: string; ready: boolean; detail: string }>;
  devices: { total: number; connected: number; by_trust: ByTrust };
  store: { engine: string };
  log: { head: number; verified: boolean; verified_to: number };
  warnings: Warning[];
}

export interface DeviceRow {
  id: string;
  type: string | null;
  groups: string[];
  lifecycle: string;
  trust: { state: TrustState; since: Instant | null };
  connected: boolean;
  last_seen: Instant | null;
  certificate: { serial: string; not_after: Instant } | null;
  created_at: Instant;
}

export interface CertificateSummary {
  serial: string;
  fingerprint: string;
  issuer: string;
  not_before: Instant;
  not_after: Instant;
  status: string;
  profile: string;
  key_type: string;
  revoked_at: Instant | null;
  reason: string | null;
}

export type TelemetryValue = number | string | boolean;

export interface DesiredConfig {
  version: number;
  config: JsonObject;
  applied_version: number | null;
  status: string;
  detail: string;
  updated_at: Instant;
}

export interface Device {
  id: string;
  type: string | null;
  labels: Record<string, string>;
  groups: string[];
  lifecycle: "registered" | "retired";
  created_at: Instant;
  trust: {
    state: TrustState;
    since: Instant | null;
    review_at: Instant | null;
    capabilities: string[];
    reasons: Reason[];
  };
  certificate: CertificateSummary | null;
  connected: boolean;
  connection: { client_id: string; address: string; since: Instant } | null;
  last_seen: Instant | null;
  rates: { messages_per_minute: number; bytes_per_minute: number };
  telemetry: Record<string, { value: TelemetryValue; at: Instant }>;
  config: DesiredConfig | null;
}

export interface Fact {
  seq: number;
  id: string;
  at: Instant;
  kind: string;
  subject: string;
  actor: string;
  body: JsonObject;
}

export interface TelemetryPoint {
  at: Instant;
  count: number;
  min: number;
  max: number;
  mean: number;
  last: number;
}

export interface Command {
  id: string;
  name: string;
  args: JsonObject;
  state: string;
  created_at: Instant;
  expires_at: Instant;
  result: Json;
}

export const REVOCATION_REASONS = [
  "keyCompromise",
  "privilegeWithdrawn",
  "cessationOfOperation",
  "superseded",
  "unspecified",
] as const;
export type RevocationReason = (typeof REVOCATION_REASONS)[number];

export interface Attention {
  /** Null where it is about no device, such as a refused sign-in. */
  device: string | null;
  severity: "high" | "medium";
  kind: string;
  text: string;
  at: Instant;
  /** The newest behind it, where it is a fact. */
  fact: number | null;
  /** How often within a day; what is said is the newest. */
  count: number;
}

export interface Overview {
  devices: { total: number; connected: number; by_trust: ByTrust; by_type: Record<string, number> };
  certificates: { valid: number; expiring_7d: number; expiring_30d: number; revoked: number };
  messages: { per_second: number; history: { at: Instant; messages: number }[] };
  activity: { at: Instant; kinds: Record<string, number> }[];
  attention: Attention[];
  log: { head: number; verified: boolean };
}

export interface Group {
  name: string;
  devices?: number;
}

export interface ApiKey {
  id: string;
  name: string;
  role: string;
  created_at: Instant;
  created_by: string;
  expires_at: Instant;
  last_used_at: Instant | null;
  revoked_at: Instant | null;
}

export interface NewApiKey extends ApiKey {
  key: string;
}

export interface User {
  id: string;
  name: string;
  role: string;
  created_at: Instant;
}

export interface Session {
  id: string;
  user: User;
  address: string;
  created_at: Instant;
  last_seen_at: Instant;
  expires_at: Instant;
  /** Whether it is the session that asks. */
  current?: boolean;
}

export interface NewClaim {
  id: string;
  device: string;
  claim: string;
  expires_at: Instant;
}

export interface SignInLink {
  link: string;
  expires_at: Instant;
}

/** `event: device` of the stream: what changed, and nothing else. */
export interface DeviceChange {
  id: string;
  connected?: boolean;
  last_seen?: Instant | null;
  trust?: TrustState;
}

/** `event: pulse` of the stream. */
export interface Pulse {
  connected: number;
  messages_per_second: number;
  head: number;
}
