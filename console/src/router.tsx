// Which address shows what. Search parameters are plain text, so that addresses read well and can be shared.

import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { isUnauthenticated } from "./api/client";
import * as ask from "./api/queries";
import { Crash, NotFound, Pending } from "./pages/Failed";
import { Overview } from "./pages/Overview";
import { Shell } from "./shell/Shell";

type Search = Record<string, string | undefined>;

/** Keeps the known parameters that hold text; everything else in an address is ignored. */
function only<K extends string>(...names: K[]) {
  return (search: Record<string, unknown>): { [P in K]?: string | undefined } => {
    const kept: Search = {};
    for (const name of names) {
      const value = search[name];
      if (typeof value === "string" && value !== "") kept[name] = value;
    }
    return kept as { [P in K]?: string | undefined };
  };
}

/** Waits until all is answered, well or badly: the page then stands at once, without moving, and shows what failed. */
async function ready(...answers: Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(answers);
}

const root = createRootRouteWithContext<{ queries: QueryClient }>()({ component: Outlet, notFoundComponent: NotFound });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: only("from"),
  component: lazyRouteComponent(() => import("./pages/SignIn"), "SignIn"),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "console",
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queries.ensureQueryData(ask.me());
    } catch (error) {
      if (isUnauthenticated(error)) throw redirect({ to: "/sign-in", search: location.href === "/" ? {} : { from: location.href }, replace: true });
      throw error;
    }
  },
});

const routes = root.addChildren([
  signIn,
  shell.addChildren([
    createRoute({
      getParentRoute: () => shell,
      path: "/",
      component: Overview,
      loader: ({ context: { queries } }) => ready(queries.ensureQueryData(ask.overview()), queries.ensureQueryData(ask.status())),
    }),
    createRoute({
      getParentRoute: () => shell,
      path: "/devices",
      validateSearch: only("q", "trust", "type", "group", "connected", "cursor"),
      component: lazyRouteComponent(() => import("./pages/Devices"), "Devices"),
      loader: ({ context: { queries }, location }) =>
        ready(
          queries.ensureQueryData(ask.devices(ask.deviceFilter(location.search))),
          queries.ensureQueryData(ask.overview()),
          queries.ensureQueryData(ask.groups()),
        ),
    }),
    createRoute({
      getParentRoute: () => shell,
      path: "/devices/$id",
      component: lazyRouteComponent(() => import("./pages/device/DevicePage"), "DevicePage"),
      loader: ({ context: { queries }, params: { id } }) =>
        ready(
          queries.ensureQueryData(ask.device(id)),
          queries.ensureQueryData(ask.commands(id)),
          ...(queries.getQueryData(ask.me().queryKey)?.permissions.includes("fact.read") ? [queries.ensureInfiniteQueryData(ask.facts({ device: id }))] : []),
        ),
    }),
    createRoute({
      getParentRoute: () => shell,
      path: "/log",
      validateSearch: only("kind", "subject", "at"),
      component: lazyRouteComponent(() => import("./pages/Log"), "Log"),
      loader: ({ context: { queries }, location }) => ready(queries.ensureInfiniteQueryData(ask.facts(location.search)), queries.ensureQueryData(ask.status())),
    }),
    createRoute({
      getParentRoute: () => shell,
      path: "/access",
      component: lazyRouteComponent(() => import("./pages/Access"), "Access"),
      loader: ({ context: { queries } }) =>
        ready(queries.ensureQueryData(ask.apiKeys()), queries.ensureQueryData(ask.users()), queries.ensureQueryData(ask.sessions())),
    }),
  ]),
]);

export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree: routes,
    context: { queries },
    scrollRestoration: false, // it would write a script into the page
    defaultPreload: "intent",
    defaultPreloadStaleTime: 0,
    defaultPendingComponent: Pending,
    defaultErrorComponent: Crash,
    defaultNotFoundComponent: NotFound,
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch: (search) => {
      const params = new URLSearchParams();
      for (const [name, value] of Object.entries(search)) if (typeof value === "string" && value !== "") params.set(name, value);
      const text = params.toString();
      return text && `?${text}`;
    },
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
