// Ctrl or Cmd and K: every page, every device, every switch, by typing. An ARIA combobox with a list.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useDeferredValue, useEffect, useId, useRef, useState } from "react";
import { devices, me } from "../api/queries";
import { setPref } from "../prefs";
import { Dialog } from "../ui/Dialog";
import { Icon, type IconName } from "../ui/Icon";
import { TRUST } from "../words";
import { AREAS } from "./areas";

interface Entry {
  id: string;
  section: "Go to" | "Devices" | "Do";
  word: string;
  note?: string;
  icon: IconName;
  mono?: boolean;
  act: () => void;
}

export default function Palette({ onClose, onShortcuts }: { onClose: () => void; onShortcuts: () => void }) {
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const asked = useDeferredValue(text.trim().toLowerCase());
  const navigate = useNavigate();
  const client = useQueryClient();
  const list = useRef<HTMLUListElement>(null);
  const id = useId();
  const { data: who } = useQuery(me());
  const found = useQuery({ ...devices({ q: asked }, 8), enabled: asked.length > 0, refetchInterval: false, placeholderData: (old) => old });

  const then = (act: () => void) => () => {
    onClose();
    act();
  };
  const fixed: Entry[] = [
    ...AREAS.filter((area) => who?.permissions.includes(area.permission)).map(
      (area): Entry => ({ id: area.to, section: "Go to", word: area.word, note: `g ${area.key}`, icon: area.icon, act: then(() => void navigate({ to: area.to })) }),
    ),
    ...(["quarantined", "revoked", "restricted"] as const).map(
      (state): Entry => ({ id: state, section: "Go to", word: `${TRUST[state].word} devices`, icon: state, act: then(() => void navigate({ to: "/devices", search: { trust: state } })) }),
    ),
    { id: "light", section: "Do", word: "Light theme", icon: "sliders", act: then(() => setPref("theme", "light")) },
    { id: "dark", section: "Do", word: "Dark theme", icon: "sliders", act: then(() => setPref("theme", "dark")) },
    { id: "system", section: "Do", word: "Theme of the system", icon: "sliders", act: then(() => setPref("theme", "system")) },
    { id: "compact", section: "Do", word: "Compact density", icon: "table", act: then(() => setPref("density", "compact")) },
    { id: "comfortable", section: "Do", word: "Comfortable density", icon: "table", act: then(() => setPref("density", "comfortable")) },
    { id: "refresh", section: "Do", word: "Ask for everything again", icon: "clock", act: then(() => void client.invalidateQueries()) },
    { id: "keys", section: "Do", word: "Keyboard shortcuts", note: "?", icon: "info", act: then(onShortcuts) },
  ];
  const words = asked.split(/\s+/);
  const matching = fixed.filter((entry) => words.every((word) => entry.word.toLowerCase().includes(word)));
  const rows: Entry[] = asked
    ? (found.data?.items ?? []).map((row) => ({
        id: `device-${row.id}`,
        section: "Devices",
        word: row.id,
        note: `${row.type ?? "no type"} · ${TRUST[row.trust.state]?.word ?? row.trust.state}${row.connected ? " · connected" : ""}`,
        icon: TRUST[row.trust.state] ? row.trust.state : "unknown",
        mono: true,
        act: then(() => void navigate({ to: "/devices/$id", params: { id: row.id } })),
      }))
    : [];
  const entries = [...matching.filter((e) => e.section === "Go to"), ...rows, ...matching.filter((e) => e.section === "Do")];
  const chosen = entries[Math.min(active, entries.length - 1)];

  useEffect(() => setActive(0), [asked]);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  });

  const onKey = (event: React.KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && entries.length > 0) {
      event.preventDefault();
      setActive((Math.min(active, entries.length - 1) + step + entries.length) % entries.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      chosen?.act();
    }
  };
  return (
    <Dialog title="Go to a page or device, or do something" onClose={onClose} className="palette" heading={false}>
      <div className="palette-input">
        <Icon name="search" />
        <input
          data-autofocus
          role="combobox"
          aria-expanded={entries.length > 0}
          aria-controls={`${id}-list`}
          aria-activedescendant={chosen ? `${id}-${chosen.id}` : undefined}
          aria-autocomplete="list"
          aria-label="Page, device or act"
          placeholder="Page, device or act"
          value={text}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKey}
        />
        <kbd>Esc</kbd>
      </div>
      <ul className="palette-list" role="listbox" id={`${id}-list`} ref={list} aria-label="Matches">
        {entries.map((entry, i) => (
          <li
            key={entry.id}
            id={`${id}-${entry.id}`}
            role="option"
            aria-selected={entry === chosen}
            className={entries[i - 1]?.section === entry.section ? "" : "starts-section"}
            data-section={entry.section}
            onMouseMove={() => setActive(i)}
            onClick={entry.act}
          >
            <Icon name={entry.icon} />
            <span className={entry.mono ? "mono" : ""}>{entry.word}</span>
            {entry.note && <span className="note">{entry.note}</span>}
          </li>
        ))}
      </ul>
      {entries.length === 0 && <p className="palette-none">{found.isFetching ? "Searching…" : "Nothing of that name."}</p>}
      <span role="status" className="sr-only">
        {entries.length} matches
      </span>
    </Dialog>
  );
}
