import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError, isUnauthenticated } from "./api/client";
import { takeToken } from "./link";
import { makeRouter } from "./router";
import "./styles/index.css";

takeToken(); // before anything else sees the address

const queries = new QueryClient({
  queryCache: new QueryCache({
    onError: (error) => {
      if (isUnauthenticated(error)) leave();
    },
  }),
  defaultOptions: {
    queries: {
      // What was refused stays refused; only a platform that cannot be reached is asked again.
      retry: (failures, error) => error instanceof ApiError && (error.problem.status === 0 || error.problem.status >= 502) && failures < 2,
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});
const router = makeRouter(queries);

/** The session has ended: to the sign-in page, and back here afterwards. */
function leave(): void {
  const { href, pathname } = router.state.location;
  if (pathname === "/sign-in") return;
  queries.clear();
  void router.navigate({ to: "/sign-in", search: href === "/" ? {} : { from: href }, replace: true });
}

// A page left open over an upgrade asks for files that are gone: load the new console, once.
window.addEventListener("vite:preloadError", (event) => {
  const key = "ironroot.reloaded";
  if (Date.now() - Number(sessionStorage.getItem(key) ?? 0) < 60_000) return;
  sessionStorage.setItem(key, String(Date.now()));
  event.preventDefault();
  location.reload();
});

const at = document.getElementById("root");
if (at) {
  createRoot(at).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
