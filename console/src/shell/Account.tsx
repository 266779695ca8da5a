// Who is signed in, and how the console looks to them.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { del } from "../api/client";
import { me } from "../api/queries";
import { setPref, usePrefs } from "../prefs";
import { Button } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { say } from "../ui/Toast";

export function Account({ onShortcuts }: { onShortcuts: () => void }) {
  const { data } = useQuery(me());
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const navigate = useNavigate();
  const client = useQueryClient();
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [open]);
  const leave = async () => {
    try {
      await del("/session");
    } catch {
      say("The platform did not answer; the session may still be open.");
    }
    client.clear();
    await navigate({ to: "/sign-in", search: {} });
  };
  return (
    <div
      className="account"
      ref={box}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open) {
          setOpen(false);
          button.current?.focus();
        }
      }}
    >
      {open && (
        <div className="account-panel" id="account-panel" role="group" aria-label="Account and appearance">
          <Choice name="theme" legend="Theme" options={[["system", "System"], ["light", "Light"], ["dark", "Dark"]]} />
          <Choice name="density" legend="Density" options={[["comfortable", "Comfortable"], ["compact", "Compact"]]} />
          <Choice name="keys" legend="Single-key shortcuts" options={[["on", "On"], ["off", "Off"]]} />
          <div className="account-acts">
            <Button
              tone="quiet"
              icon="info"
              onClick={() => {
                setOpen(false);
                onShortcuts();
              }}
            >
              Shortcuts
            </Button>
            <Button tone="quiet" icon="exit" onClick={() => void leave()}>
              Sign out
            </Button>
          </div>
        </div>
      )}
      <button ref={button} type="button" className="account-button" aria-expanded={open} aria-controls="account-panel" onClick={() => setOpen(!open)}>
        <Icon name="user" />
        <span className="account-who">
          <b>{data?.name ?? "…"}</b>
          <span>{data?.role}</span>
        </span>
        <Icon name="sliders" />
      </button>
    </div>
  );
}

function Choice({ name, legend, options }: { name: "theme" | "density" | "keys"; legend: string; options: [string, string][] }) {
  const prefs = usePrefs();
  return (
    <fieldset className="choice">
      <legend>{legend}</legend>
      <div className="segmented">
        {options.map(([value, word]) => (
          <label key={value} className={prefs[name] === value ? "is-on" : ""}>
            <input type="radio" name={`pref-${name}`} value={value} checked={prefs[name] === value} onChange={() => setPref(name, value as never)} />
            {word}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
