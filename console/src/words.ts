// What the platform's terms mean, in words for people. The API's own terms stay visible beside them.

import type { Capability, Fact, Json, JsonObject, RevocationReason, TrustState } from "./api/types";

export const TRUST: Record<TrustState, { word: string; effect: string }> = {
  trusted: { word: "Trusted", effect: "May use everything of its own: publish, subscribe, renew, update." },
  restricted: { word: "Restricted", effect: "Updates and attestation only, until what restricts it is resolved." },
  quarantined: { word: "Quarantined", effect: "Cut off from everything but its own status." },
  revoked: { word: "Revoked", effect: "Refused at every door; needs a new claim to come back." },
  unknown: { word: "Unknown", effect: "Not enrolled: only the enrolment routes are open to it." },
};

export const CAPABILITY: Record<Capability, string> = {
  publish: "publish telemetry",
  "publish-event": "publish events",
  subscribe: "receive commands",
  status: "read its status",
  enrol: "enrol",
  renew: "renew its certificate",
  update: "fetch updates",
};

export const REVOCATION: Record<RevocationReason, string> = {
  keyCompromise: "Key compromise: the private key may be in other hands",
  privilegeWithdrawn: "Privilege withdrawn: it must not act any more",
  cessationOfOperation: "Cessation of operation: taken out of service",
  superseded: "Superseded: replaced by another certificate",
  unspecified: "Unspecified",
};

/** Families of facts, for filters and for the activity chart. A kind belongs to the first that matches. */
export const FAMILIES = [
  { id: "refused", word: "Refusals", matches: (kind: string) => /\.(refused|violation|failed)$/.test(kind) },
  { id: "trust", word: "Trust and holds", matches: (kind: string) => /^(trust|hold)\.|\.revoked$/.test(kind) },
  { id: "identity", word: "Identity", matches: (kind: string) => /^(device|claim|certificate|enrolment|ca|crl|key)\./.test(kind) },
  { id: "people", word: "People and platform", matches: () => true },
] as const;
export type Family = (typeof FAMILIES)[number]["id"];

export function familyOf(kind: string): Family {
  return FAMILIES.find((family) => family.matches(kind))?.id ?? "people";
}

const KINDS: Record<string, string> = {
  "device.registered": "Device registered",
  "device.grouped": "Groups changed",
  "device.retired": "Device retired",
  "claim.created": "Claim created",
  "claim.used": "Claim used",
  "claim.refused": "Claim refused",
  "claim.voided": "Claim voided",
  "certificate.issued": "Certificate issued",
  "certificate.revoked": "Certificate revoked",
  "enrolment.refused": "Enrolment refused",
  "ca.created": "Certificate authority created",
  "crl.issued": "Revocation list issued",
  "key.created": "Key created",
  "person.erased": "Person erased",
  "hold.placed": "Quarantine placed",
  "hold.released": "Quarantine released",
  "hold.expired": "Quarantine ran out",
  "trust.decided": "Trust decided",
  "user.created": "User created",
  "link.created": "Sign-in link created",
  "link.used": "Sign-in link used",
  "session.started": "Session started",
  "session.ended": "Session ended",
  "apikey.created": "API key created",
  "apikey.revoked": "API key revoked",
  "access.refused": "Access refused",
  "mqtt.refused": "MQTT connection refused",
  "mqtt.violation": "MQTT rule broken",
  "config.desired": "Configuration wanted",
  "config.applied": "Configuration applied",
  "config.failed": "Configuration failed",
  "command.sent": "Command sent",
  "command.done": "Command done",
  "command.failed": "Command failed",
  "command.refused": "Command refused",
  "command.expired": "Command ran out",
  "platform.started": "Platform started",
  "platform.stopped": "Platform stopped",
};

export const KNOWN_KINDS = Object.keys(KINDS);

/** A kind in words; one this console does not know yet reads as it is written. */
export const kindWord = (kind: string): string => KINDS[kind] ?? kind;

type Telling = (body: JsonObject) => (string | null)[];

const text = (value: Json | undefined): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");
const named = (word: string, value: Json | undefined): string => (text(value) ? `${word} ${text(value)}` : "");
const until = (value: Json | undefined): string => (text(value) ? `until ${text(value)}` : "");

/** What a fact adds to its kind. Kinds without an entry tell their reason, where they have one. */
const TELLING: Record<string, Telling> = {
  "device.registered": (b) => [named("type", b.type)],
  "device.grouped": (b) => [`${b.member === false ? "left" : "joined"} ${text(b.group)}`],
  "claim.created": (b) => [until(b.expires_at), b.after_revocation === true ? "after a revocation" : ""],
  "claim.used": (b) => [named("certificate", b.serial)],
  "claim.refused": (b) => [text(b.code), named("from", b.source)],
  "certificate.issued": (b) => [text(b.profile), text(b.serial), until(b.not_after), b.renewed ? "renewed" : ""],
  "certificate.revoked": (b) => [text(b.reason), text(b.comment), text(b.serial)],
  "enrolment.refused": (b) => [text(b.text) || text(b.code), named("from", b.source)],
  "ca.created": (b) => [text(b.name), text(b.role), until(b.not_after)],
  "crl.issued": (b) => [named("number", b.number), `${text(b.entries)} revoked`],
  "key.created": (b) => [text(b.name), text(b.algorithm)],
  "hold.placed": (b) => [text(b.reason), until(b.expires_at)],
  "user.created": (b) => [text(b.role)],
  "link.created": (b) => [until(b.expires_at)],
  "session.started": (b) => [named("by", b.method)],
  "apikey.created": (b) => [text(b.name), text(b.role), until(b.expires_at)],
  "apikey.revoked": (b) => [text(b.name)],
  "access.refused": (b) => [text(b.what), text(b.why)],
  "mqtt.refused": (b) => [text(b.reason) || text(b.code)],
  "mqtt.violation": (b) => [text(b.violation), text(b.detail)],
  "config.desired": (b) => [named("version", b.version)],
  "config.applied": (b) => [named("version", b.version)],
  "config.failed": (b) => [named("version", b.version), text(b.detail)],
  "command.sent": (b) => [text(b.name), until(b.expires_at)],
  "command.done": (b) => [text(b.name)],
  "command.failed": (b) => [text(b.name)],
  "command.refused": (b) => [text(b.name)],
  "command.expired": (b) => [text(b.name)],
  "platform.started": (b) => [text(b.version), text(b.store)],
  "platform.stopped": (b) => [text(b.version)],
  "trust.decided": (b) => [`${stateWord(b.before)} to ${stateWord(b.after)}`, Array.isArray(b.reasons) ? text(b.reasons[0]) : ""],
};

const stateWord = (state: Json | undefined): string => (TRUST[state as TrustState]?.word ?? text(state)).toLowerCase();

/** A fact in one line, beside its kind. */
export function summary({ kind, body }: Fact): string {
  const parts = (TELLING[kind] ?? ((b) => [text(b.reason)]))(body).filter(Boolean);
  if (typeof body.suppressed === "number" && body.suppressed > 0) parts.push(`and ${body.suppressed} more like it`);
  return parts.join(" · ");
}

/** `device/meter-1` in its two parts; `platform` has one. */
export function nounOf(reference: string): { kind: string; id: string } {
  const slash = reference.indexOf("/");
  return slash < 0 ? { kind: reference, id: "" } : { kind: reference.slice(0, slash), id: reference.slice(slash + 1) };
}

/** The names under which a permission is known to people, for "why can I not do this?". */
export function whyNot(role: string, permission: string): string {
  return `Your role, ${role}, does not include ${permission}. An administrator can give it to you.`;
}
