// The console's areas in their order. A new area is one line here and its routes; the palette and the keys follow.

import type { IconName } from "../ui/Icon";
import type { Permission } from "../permissions";

export interface Area {
  to: "/" | "/devices" | "/log" | "/access";
  word: string;
  icon: IconName;
  /** Second key after g. */
  key: string;
  permission: Permission;
  section: "Fleet" | "Record" | "Platform";
}

export const AREAS: readonly Area[] = [
  { to: "/", word: "Overview", icon: "overview", key: "o", permission: "device.read", section: "Fleet" },
  { to: "/devices", word: "Devices", icon: "devices", key: "d", permission: "device.read", section: "Fleet" },
  { to: "/log", word: "Fact log", icon: "log", key: "l", permission: "fact.read", section: "Record" },
  { to: "/access", word: "Access", icon: "access", key: "a", permission: "apikey.manage", section: "Platform" },
];

export const SECTIONS = ["Fleet", "Record", "Platform"] as const;
