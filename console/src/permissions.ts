// What the signed-in person may do. The platform decides again on every request; this only avoids dead ends.

import { useQuery } from "@tanstack/react-query";
import { me } from "./api/queries";
import { whyNot } from "./words";

export type Permission =
  | "device.read"
  | "device.write"
  | "device.contain"
  | "certificate.read"
  | "certificate.revoke"
  | "claim.create"
  | "fact.read"
  | "group.write"
  | "command.send"
  | "apikey.manage"
  | "user.manage"
  | "status.read"
  | "telemetry.read";

/** Undefined when allowed, else the reason in words. */
export function useWhyNot(permission: Permission): string | undefined {
  const { data } = useQuery(me());
  if (!data || data.permissions.includes(permission)) return undefined;
  return whyNot(data.role, permission);
}

export function useAllowed(permission: Permission): boolean {
  const { data } = useQuery(me());
  return data?.permissions.includes(permission) ?? false;
}
