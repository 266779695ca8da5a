// The frame around every page: rail with the areas, the page, the strip of live instruments at the foot.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { me, status } from "../api/queries";
import { startLive } from "../live/stream";
import { Button } from "../ui/Button";
import { Icon, Mark } from "../ui/Icon";
import { Toasts } from "../ui/Toast";
import { Account } from "./Account";
import { AREAS, SECTIONS } from "./areas";
import { useKeys } from "./keys";
import { OfflineBanner } from "./OfflineBanner";
import { Strip } from "./Strip";

const Palette = lazy(() => import("./Palette"));
const Shortcuts = lazy(() => import("./Shortcuts"));

export function Shell() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [palette, setPalette] = useState(false);
  const [shortcuts, setShortcuts] = useState(false);
  const [drawer, setDrawer] = useState(false);
  useEffect(() => startLive(client), [client]);
  useFocusOnPage();
  useKeys({
    "?": () => setShortcuts(true),
    ...Object.fromEntries(AREAS.map((area) => [`g ${area.key}`, () => void navigate({ to: area.to })])),
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setPalette((open) => !open && !document.querySelector("dialog[open]"));
      }
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
  const path = useRouterState({ select: (state) => state.location.pathname });
  useEffect(() => setDrawer(false), [path]);
  return (
    <div className={`shell ${drawer ? "drawer-open" : ""}`}>
      <a className="skip" href="#page">
        Skip to the page
      </a>
      <header className="rail">
        <div className="rail-head">
          <Link to="/" className="brand">
            <Mark /> Ironroot
          </Link>
          <button type="button" className="rail-search" onClick={() => setPalette(true)} aria-keyshortcuts="Control+K Meta+K">
            <Icon name="search" /> <span>Go to…</span> <kbd aria-hidden="true">{isMac ? "⌘" : "Ctrl"} K</kbd>
          </button>
          <Button tone="quiet" className="drawer-button" icon={drawer ? "cross" : "menu"} aria-label="Navigation" aria-expanded={drawer} aria-controls="areas" onClick={() => setDrawer(!drawer)} />
        </div>
        <div className="rail-body" id="areas">
          <Areas />
          <Account onShortcuts={() => setShortcuts(true)} />
        </div>
      </header>
      <div className="stage">
        <OfflineBanner />
        <main id="page" className="page" tabIndex={-1}>
          <Outlet />
        </main>
      </div>
      <Strip />
      <Toasts />
      <Suspense fallback={null}>
        {palette && <Palette onClose={() => setPalette(false)} onShortcuts={() => setShortcuts(true)} />}
        {shortcuts && <Shortcuts onClose={() => setShortcuts(false)} />}
      </Suspense>
    </div>
  );
}

const isMac = /mac|iphone|ipad/i.test(navigator.platform);

function Areas() {
  const { data } = useQuery(me());
  const { data: health } = useQuery(status());
  const allowed = AREAS.filter((area) => data?.permissions.includes(area.permission));
  return (
    <nav className="areas" aria-label="Areas">
      {SECTIONS.map((section) => {
        const areas = allowed.filter((area) => area.section === section);
        if (areas.length === 0) return null;
        return (
          <div key={section} className="area-section">
            <p className="area-title" id={`section-${section}`}>
              {section}
            </p>
            <ul aria-labelledby={`section-${section}`}>
              {areas.map((area) => (
                <li key={area.to}>
                  <Link to={area.to} activeOptions={{ exact: area.to === "/", includeSearch: false }} className="area">
                    <Icon name={area.icon} /> {area.word}
                    {area.to === "/devices" && health && <span className="area-count num">{health.devices.total}</span>}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        );
      })}
    </nav>
  );
}

/** After a change of page the focus starts at the page, and a screen reader hears its heading. */
function useFocusOnPage(): void {
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const before = useRef(path);
  useEffect(() => {
    if (before.current !== undefined && before.current !== path) {
      document.getElementById("page")?.focus({ preventScroll: true });
      if (!location.hash) window.scrollTo(0, 0);
    }
    before.current = path;
  }, [path]);
}
