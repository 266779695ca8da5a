// What the pages ask for: one place for keys, paths and how long an answer counts as fresh.

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { at, get } from "./client";
import type {
  ApiKey,
  CertificateSummary,
  Command,
  Device,
  DeviceRow,
  Fact,
  Group,
  Me,
  Overview,
  Page,
  Session,
  Status,
  TelemetryPoint,
  User,
} from "./types";

export interface DeviceFilter {
  q?: string | undefined;
  trust?: string | undefined;
  type?: string | undefined;
  group?: string | undefined;
  connected?: string | undefined;
  cursor?: string | undefined;
}

/** The filter that a search in the address stands for. */
export function deviceFilter(search: DeviceFilter): DeviceFilter {
  const { q, trust, type, group, connected, cursor } = search;
  return { q, trust, type, group, cursor, connected: connected === "yes" ? "true" : connected === "no" ? "false" : undefined };
}

/** Which part of the fact log; `device` is one device's timeline, which the API serves by itself. */
export interface FactFilter {
  device?: string | undefined;
  kind?: string | undefined;
  subject?: string | undefined;
  /** Only up to this fact. */
  at?: string | undefined;
}

export const DEVICES_PER_PAGE = 50;
export const FACTS_PER_PAGE = 50;

export const me = () =>
  queryOptions({ queryKey: ["me"], queryFn: ({ signal }) => get<Me>("/me", {}, signal), staleTime: 60_000 });

export const status = () =>
  queryOptions({ queryKey: ["status"], queryFn: ({ signal }) => get<Status>("/status", {}, signal), staleTime: 15_000, refetchInterval: 60_000 });

export const overview = () =>
  queryOptions({
    queryKey: ["overview"],
    queryFn: ({ signal }) => get<Overview>("/overview", {}, signal),
    staleTime: 5_000,
    refetchInterval: 15_000,
  });

export const devices = (filter: DeviceFilter, limit = DEVICES_PER_PAGE) =>
  queryOptions({
    queryKey: ["devices", filter, limit],
    queryFn: ({ signal }) => get<Page<DeviceRow>>("/devices", { ...filter, limit }, signal),
    staleTime: 5_000,
    refetchInterval: 10_000, // last seen is not said live
  });

export const device = (id: string) =>
  queryOptions({
    queryKey: ["device", id],
    queryFn: ({ signal }) => get<Device>(`/devices${at(id)}`, {}, signal),
    staleTime: 2_000,
    refetchInterval: (query) => (query.state.data?.connected ? 3_000 : 15_000),
  });

export const deviceCertificates = (id: string) =>
  queryOptions({
    queryKey: ["certificates", id],
    queryFn: ({ signal }) => get<Page<CertificateSummary>>("/certificates", { device: id, limit: 50 }, signal),
    staleTime: 30_000,
  });

export const telemetry = (id: string, name: string, minutes = 180) =>
  queryOptions({
    queryKey: ["telemetry", id, name, minutes],
    queryFn: ({ signal }) =>
      get<{ name: string; points: TelemetryPoint[] }>(`/devices${at(id)}/telemetry${at(name)}`, { minutes }, signal),
    staleTime: 60_000,
    refetchInterval: 60_000,
  });

export const commands = (id: string) =>
  queryOptions({
    queryKey: ["commands", id],
    queryFn: ({ signal }) => get<Page<Command>>(`/devices${at(id)}/commands`, { limit: 20 }, signal),
    staleTime: 2_000,
    refetchInterval: 10_000,
  });

export const facts = ({ device, kind, subject, at: upTo }: FactFilter) => {
  const filter: FactFilter = { device, kind, subject, at: upTo };
  return infiniteQueryOptions({
    queryKey: ["facts", filter],
    queryFn: ({ pageParam, signal }) =>
      filter.device
        ? get<Page<Fact>>(`/devices${at(filter.device)}/facts`, { limit: FACTS_PER_PAGE, cursor: pageParam }, signal)
        : get<Page<Fact>>("/facts", { kind: filter.kind, subject: filter.subject, limit: FACTS_PER_PAGE, before: pageParam }, signal),
    initialPageParam: filter.at === undefined ? undefined : String(Number(filter.at) + 1),
    getNextPageParam: (page) => {
      if (page.next === null) return undefined;
      return filter.device ? page.next : String(page.items.at(-1)?.seq ?? "") || undefined;
    },
    staleTime: 5_000,
  });
};

export const groups = () =>
  queryOptions({ queryKey: ["groups"], queryFn: ({ signal }) => get<Page<Group>>("/groups", {}, signal), staleTime: 60_000 });

export const apiKeys = () =>
  queryOptions({ queryKey: ["apikeys"], queryFn: ({ signal }) => get<Page<ApiKey>>("/apikeys", {}, signal), staleTime: 10_000 });

export const sessions = () =>
  queryOptions({ queryKey: ["sessions"], queryFn: ({ signal }) => get<Page<Session>>("/sessions", {}, signal), staleTime: 10_000 });

export const users = () =>
  queryOptions({ queryKey: ["users"], queryFn: ({ signal }) => get<Page<User>>("/users", {}, signal), staleTime: 30_000 });
