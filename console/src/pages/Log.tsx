// The fact log: what happened, in the order it was chained, and how far that order is verified.

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { facts, status } from "../api/queries";
import { cli } from "../cli";
import { useKeys } from "../shell/keys";
import { Button } from "../ui/Button";
import { Cli } from "../ui/Copy";
import { Dialog } from "../ui/Dialog";
import { Facts } from "../ui/Facts";
import { FilterSelect } from "../ui/Field";
import { Icon } from "../ui/Icon";
import { Empty, Panel, Skeleton } from "../ui/Panel";
import { ProblemNote } from "../ui/Problem";
import { familyOf, FAMILIES, kindWord, KNOWN_KINDS } from "../words";
import { PageHead } from "./Title";

export function Log() {
  const search = useSearch({ from: "/console/log" });
  const navigate = useNavigate();
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = useInfiniteQuery(facts(search));
  const [proving, setProving] = useState(false);
  const [pausedAt, setPausedAt] = useState<number>();
  const all = data?.pages.flatMap((page) => page.items) ?? [];
  const shown = pausedAt === undefined ? all : all.filter((fact) => fact.seq <= pausedAt);
  const held = all.length - shown.length;
  const marked = search.at === undefined ? undefined : Number(search.at);
  const change = (part: Partial<typeof search>) => void navigate({ to: "/log", search: { ...search, at: undefined, ...part }, replace: true });
  const isFiltered = Boolean(search.kind || search.subject);
  const box = useRef<HTMLInputElement>(null);
  useKeys({
    "/": (event) => {
      event.preventDefault();
      box.current?.focus();
      box.current?.select();
    },
  });
  return (
    <>
      <PageHead title="Fact log" note={<Verified />}>
        <Button icon="seal" onClick={() => setProving(true)}>
          Export and verify
        </Button>
      </PageHead>
          <search className="filters" aria-label="Facts">
            <SubjectBox key={search.subject ?? ""} ref={box} value={search.subject ?? ""} onChange={(subject) => change({ subject })} />
            <FilterSelect label="Kind" value={search.kind ?? ""} onChange={(kind) => change({ kind })}>
              {search.kind && !KNOWN_KINDS.includes(search.kind) && <option>{search.kind}</option>}
              {FAMILIES.map((family) => (
                <optgroup key={family.id} label={family.word}>
                  {KNOWN_KINDS.filter((kind) => familyOf(kind) === family.id).map((kind) => (
                    <option key={kind} value={kind}>
                      {kindWord(kind)}
                    </option>
                  ))}
                </optgroup>
              ))}
            </FilterSelect>
            {isFiltered && (
              <Button tone="quiet" icon="cross" onClick={() => change({ kind: undefined, subject: undefined })}>
                Clear
              </Button>
            )}
            <span className="filters-end">
              {search.at === undefined ? (
                <Button icon={pausedAt === undefined ? "pause" : "play"} aria-pressed={pausedAt !== undefined} onClick={() => setPausedAt(pausedAt === undefined ? (all[0]?.seq ?? 0) : undefined)}>
                  {pausedAt === undefined ? "Hold" : held > 0 ? `Go on, ${held} new` : "Go on"}
                </Button>
              ) : (
                <Button onClick={() => change({})}>To the newest</Button>
              )}
            </span>
          </search>
          <Panel title="Facts" aside={search.at === undefined ? "newest first, live" : `from #${search.at} back`} flush className="log-panel">
            {error && <ProblemNote error={error} retry={() => void refetch()} />}
            {!data && !error && <Skeleton lines={20} />}
            {data && shown.length === 0 && (
              <Empty title={isFiltered ? "No fact matches" : "Nothing recorded yet"}>
                {isFiltered && <p>A subject is written with its kind: device/meter-1, user/usr_…, ca/device-1, platform.</p>}
              </Empty>
            )}
            {shown.length > 0 && <Facts facts={shown} marked={marked} withSubject label="Facts, newest first" />}
            {hasNextPage && (
              <div className="more">
                <Button busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
                  {isFetchingNextPage ? "Loading…" : "Load more"}
                </Button>
              </div>
            )}
          </Panel>
      {proving && <Proof onClose={() => setProving(false)} />}
    </>
  );
}

function Verified() {
  const { data } = useQuery(status());
  if (!data) return null;
  return data.log.verified ? (
    <span className="badge ok">
      <Icon name="seal" /> verified to #{data.log.verified_to}
    </span>
  ) : (
    <span className="badge bad">
      <Icon name="warning" /> NOT verified beyond #{data.log.verified_to}
    </span>
  );
}

function Proof({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Prove it elsewhere" onClose={onClose}>
      <p>Every fact holds the hash of the one before it. An export can be verified on another machine with the public key alone: a fact that was changed, dropped or moved is found and named.</p>
      <Cli command={cli.exportLog()} label="Export" />
      <Cli command={cli.verifyLog()} label="Verify" />
      <ul className="downloads" aria-label="Downloads">
        {DOWNLOADS.map(([path, file, word]) => (
          <li key={file}>
            <a href={`/api/v1/facts/${path}`} download={file}>
              <Icon name="download" /> {word}
            </a>
          </li>
        ))}
      </ul>
      <p className="hint">Keep checkpoints somewhere else: against an older one, a log that was cut back is found.</p>
    </Dialog>
  );
}

const DOWNLOADS = [
  ["export", "facts.ndjson", "All facts"],
  ["checkpoint", "checkpoint.txt", "Newest checkpoint"],
  ["vkey", "vkey.txt", "Public key"],
] as const;

function SubjectBox({ ref, value, onChange }: { ref: React.RefObject<HTMLInputElement | null>; value: string; onChange: (subject: string | undefined) => void }) {
  const [text, setText] = useState(value);
  const timer = useRef<number>(undefined);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const commit = () => {
    const name = text.trim();
    // A bare device id is what people have at hand.
    const subject = name === "" || name === "platform" || name.includes("/") ? name : `device/${name}`;
    if (subject !== value) onChange(subject || undefined);
  };
  return (
    <div className="search-box">
      <Icon name="search" />
      <input
        ref={ref}
        type="search"
        aria-label="Subject: a device id, or device/ID, user/ID, ca/NAME, platform"
        aria-keyshortcuts="/"
        placeholder="Subject, such as meter-1"
        value={text}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => setText(event.target.value)}
        onBlur={commit}
        onKeyDown={(event) => {
          if (event.key === "Enter") commit();
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </div>
  );
}
