// The fleet as a table. What is searched and filtered stands in the address; the platform does the work.

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { deviceFilter, devices, groups, overview } from "../api/queries";
import { TRUST_STATES, type DeviceRow } from "../api/types";
import { cli } from "../cli";
import { count } from "../format";
import { useNow } from "../live/now";
import { useKeys } from "../shell/keys";
import { useWhyNot } from "../permissions";
import { Button } from "../ui/Button";
import { Cli, CopyButton } from "../ui/Copy";
import { FilterSelect } from "../ui/Field";
import { Icon } from "../ui/Icon";
import { Empty } from "../ui/Panel";
import { ProblemNote } from "../ui/Problem";
import { Ago } from "../ui/Time";
import { Trust } from "../ui/Trust";
import { TRUST } from "../words";
import { ClaimDialog } from "./Claim";
import { PageHead } from "./Title";

const TYPING_MS = 200;
const SOON_MS = 30 * 86_400_000;

export function Devices() {
  const search = useSearch({ from: "/console/devices" });
  const navigate = useNavigate();
  const { data, error, isPlaceholderData, refetch } = useQuery({ ...devices(deviceFilter(search)), placeholderData: (old) => old });
  const { data: fleet } = useQuery(overview());
  const { data: known } = useQuery(groups());
  const body = useRef<HTMLTableSectionElement>(null);
  const box = useRef<HTMLInputElement>(null);
  const [adding, setAdding] = useState(false);
  const noClaim = useWhyNot("claim.create");
  const before = useRef(new Map<string, string | undefined>()); // which page led to a page, also after the browser's Back

  const change = (part: Partial<typeof search>) => {
    before.current.clear();
    void navigate({ to: "/devices", search: { ...search, cursor: undefined, ...part }, replace: true });
  };
  const isFiltered = Boolean(search.q || search.trust || search.type || search.group || search.connected);
  const next = () => {
    if (!data?.next || isPlaceholderData) return;
    before.current.set(data.next, search.cursor);
    void navigate({ to: "/devices", search: { ...search, cursor: data.next } });
  };
  const previous = () => {
    if (!search.cursor) return;
    void navigate({ to: "/devices", search: { ...search, cursor: before.current.get(search.cursor) } });
  };

  const move = (step: number) => {
    const links = [...(body.current?.querySelectorAll<HTMLElement>("a.row-link") ?? [])];
    const i = links.indexOf(document.activeElement as HTMLElement);
    links[i < 0 ? (step > 0 ? 0 : links.length - 1) : Math.max(0, Math.min(links.length - 1, i + step))]?.focus();
  };
  useKeys({
    "/": (event) => {
      event.preventDefault();
      box.current?.focus();
      box.current?.select();
    },
    j: () => move(1),
    k: () => move(-1),
    "]": next,
    "[": previous,
  });

  const rows = data?.items ?? [];
  return (
    <>
      <PageHead title="Devices" note={fleet && <span className="num">{count(fleet.devices.total)}</span>}>
        <CopyButton text={cli.list(search)} label="Copy this list as CLI">
          Copy as CLI
        </CopyButton>
        <Button icon="plus" whyNot={noClaim} onClick={() => setAdding(true)}>
          Add device
        </Button>
      </PageHead>
      {adding && <ClaimDialog onClose={() => setAdding(false)} />}
      <search className="filters" aria-label="Devices">
        <SearchBox ref={box} value={search.q ?? ""} onChange={(q) => change({ q })} onDown={() => move(1)} />
        <FilterSelect label="Trust" value={search.trust ?? ""} onChange={(trust) => change({ trust })}>
          {TRUST_STATES.map((state) => (
            <option key={state} value={state}>
              {TRUST[state].word}
              {fleet && ` (${count(fleet.devices.by_trust[state] ?? 0)})`}
            </option>
          ))}
        </FilterSelect>
        <FilterSelect label="Type" value={search.type ?? ""} onChange={(type) => change({ type })}>
          {withCurrent(Object.keys(fleet?.devices.by_type ?? {}).sort(), search.type).map((type) => (
            <option key={type}>{type}</option>
          ))}
        </FilterSelect>
        <FilterSelect label="Group" value={search.group ?? ""} onChange={(group) => change({ group })}>
          {withCurrent((known?.items ?? []).map((group) => group.name), search.group).map((group) => (
            <option key={group}>{group}</option>
          ))}
        </FilterSelect>
        <FilterSelect label="Connected" value={search.connected ?? ""} onChange={(connected) => change({ connected })}>
          <option value="yes">yes</option>
          <option value="no">no</option>
        </FilterSelect>
        {isFiltered && (
          <Button tone="quiet" icon="cross" onClick={() => change({ q: undefined, trust: undefined, type: undefined, group: undefined, connected: undefined })}>
            Clear
          </Button>
        )}
      </search>
      {error ? (
        <ProblemNote error={error} retry={() => void refetch()} />
      ) : (
        <div className={`table-frame ${isPlaceholderData ? "is-old" : ""}`}>
          <table className="table devices">
            <caption className="sr-only">Devices, ordered by id</caption>
            <thead>
              <tr>
                <th scope="col">Device</th>
                <th scope="col">Trust</th>
                <th scope="col">Connected</th>
                <th scope="col" className="wide-1">
                  Last seen
                </th>
                <th scope="col" className="wide-2">
                  Type
                </th>
                <th scope="col" className="wide-3">
                  Groups
                </th>
                <th scope="col" className="wide-1">
                  Certificate
                </th>
              </tr>
            </thead>
            <tbody ref={body} onKeyDown={(event) => arrows(event, move)}>
              {data === undefined && Array.from({ length: 12 }, (_, i) => <tr key={i} className="row-space" aria-hidden="true"><td colSpan={7} /></tr>)}
              {rows.map((row) => (
                <Row key={row.id} row={row} />
              ))}
            </tbody>
          </table>
          {data && rows.length === 0 && (isFiltered ? <NoMatch onClear={() => change({ q: undefined, trust: undefined, type: undefined, group: undefined, connected: undefined })} /> : <NoDevices />)}
        </div>
      )}
      <nav className="pager" aria-label="Pages of devices">
        <span role="status" className="faint">
          {data && rows.length > 0 && (
            <>
              <span className="num">{count(rows.length)}</span> shown, <span className="mono">{rows[0]?.id}</span> to <span className="mono">{rows.at(-1)?.id}</span>
            </>
          )}
        </span>
        <Button icon="left" whyNot={search.cursor ? undefined : "This is the first page."} onClick={previous}>
          {search.cursor && !before.current.has(search.cursor) ? "First page" : "Previous"}
        </Button>
        <Button icon="right" whyNot={data?.next ? undefined : "This is the last page."} onClick={next}>
          Next
        </Button>
      </nav>
    </>
  );
}

function Row({ row }: { row: DeviceRow }) {
  const navigate = useNavigate();
  return (
    <tr
      onClick={(event) => {
        if (event.defaultPrevented || (event.target as HTMLElement).closest("a, button") || getSelection()?.toString()) return;
        void navigate({ to: "/devices/$id", params: { id: row.id } });
      }}
    >
      <th scope="row">
        <Link to="/devices/$id" params={{ id: row.id }} className="row-link mono">
          {row.id}
        </Link>
      </th>
      <td>
        <Trust state={row.trust.state} />
      </td>
      <td>
        <Connected on={row.connected} />
      </td>
      <td className="wide-1">{row.last_seen ? <Ago at={row.last_seen} /> : <span className="faint">never</span>}</td>
      <td className="wide-2">{row.type ?? <span className="faint">none</span>}</td>
      <td className="wide-3">
        {row.groups.length === 0 && <span className="faint">none</span>}
        {row.groups.map((group) => (
          <span key={group} className="tag">
            {group}
          </span>
        ))}
      </td>
      <td className="wide-1">{row.certificate ? <Expiry at={row.certificate.not_after} /> : <span className="faint">none</span>}</td>
    </tr>
  );
}

export function Connected({ on }: { on: boolean }) {
  return <span className={on ? "connected yes" : "connected no"}>{on ? "connected" : "offline"}</span>;
}

/** When a certificate runs out; soon or past is marked by an icon and a colour. */
export function Expiry({ at }: { at: string }) {
  const now = useNow();
  const left = Date.parse(at) - now.getTime();
  if (left > SOON_MS) return <Ago at={at} />;
  return (
    <span className={left <= 0 ? "bad" : left < SOON_MS / 4 ? "warn" : ""}>
      {left < SOON_MS / 4 && <Icon name={left <= 0 ? "warning" : "clock"} size={14} />} {left <= 0 ? "expired " : ""}
      <Ago at={at} />
    </span>
  );
}

function SearchBox({ ref, value, onChange, onDown }: { ref: React.RefObject<HTMLInputElement | null>; value: string; onChange: (q: string | undefined) => void; onDown: () => void }) {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  const latest = useRef(onChange);
  useEffect(() => {
    latest.current = onChange;
  });
  useEffect(() => {
    if (value !== sent.current) {
      sent.current = value; // changed by the address, not by typing
      setText(value);
    }
  }, [value]);
  useEffect(() => {
    const wanted = text.trim();
    if (wanted === sent.current) return;
    const timer = window.setTimeout(() => {
      sent.current = wanted;
      latest.current(wanted || undefined);
    }, TYPING_MS);
    return () => window.clearTimeout(timer);
  }, [text]);
  return (
    <div className="search-box">
      <Icon name="search" />
      <input
        ref={ref}
        type="search"
        aria-label="Search devices by id or label"
        aria-keyshortcuts="/"
        placeholder="Search devices"
        value={text}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
          if (event.key === "ArrowDown" || event.key === "Enter") {
            event.preventDefault();
            onDown();
          }
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </div>
  );
}

function arrows(event: React.KeyboardEvent, move: (step: number) => void): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  move(step);
}

const withCurrent = (names: string[], current: string | undefined): string[] => (current && !names.includes(current) ? [current, ...names] : names);

function NoMatch({ onClear }: { onClear: () => void }) {
  return (
    <Empty title="No device matches">
      <p>The search looks at ids and labels; filters apply together.</p>
      <Button onClick={onClear}>Clear search and filters</Button>
    </Empty>
  );
}

function NoDevices() {
  return (
    <Empty title="No devices yet">
      <p>A device appears here as soon as a claim is made for it. The claim lets it enrol once and get its certificate.</p>
      <Cli command={cli.claim("meter-1")} label="Make a claim for the first device" />
      <p className="hint">Or start the platform with a simulated fleet: ironroot up --demo 25</p>
    </Empty>
  );
}
