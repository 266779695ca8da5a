import { useInfiniteQuery } from "@tanstack/react-query";
import { useRouterState } from "@tanstack/react-router";
import { useEffect } from "react";
import { facts } from "../../api/queries";
import { useWhyNot } from "../../permissions";
import { Button } from "../../ui/Button";
import { Facts } from "../../ui/Facts";
import { Empty, Panel, Skeleton } from "../../ui/Panel";
import { ProblemNote } from "../../ui/Problem";

const MAX_PAGES_TO_FIND = 20;

/** Everything recorded about the device, newest first. A fact named in the address is looked for, opened and marked. */
export function Timeline({ id }: { id: string }) {
  const whyNot = useWhyNot("fact.read");
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = useInfiniteQuery({ ...facts({ device: id }), enabled: whyNot === undefined });
  const hash = useRouterState({ select: (state) => state.location.hash });
  const wanted = /^fact-(\d+)$/.exec(hash)?.[1];
  const marked = wanted === undefined ? undefined : Number(wanted);
  const known = (whyNot === undefined ? data : undefined)?.pages.flatMap((page) => page.items) ?? [];
  const found = marked !== undefined && known.some((fact) => fact.seq === marked);
  const searching = marked !== undefined && !found && hasNextPage && (known.at(-1)?.seq ?? 0) > marked && (data?.pages.length ?? 0) < MAX_PAGES_TO_FIND;
  useEffect(() => {
    if (searching && !isFetchingNextPage) void fetchNextPage();
  }, [searching, isFetchingNextPage, fetchNextPage]);
  useEffect(() => {
    if (!found) return;
    const element = document.getElementById(`fact-${marked}`);
    element?.scrollIntoView({ block: "center" });
    element?.querySelector("button")?.focus({ preventScroll: true });
  }, [found, marked]);
  return (
    <Panel title="Timeline" aside="every fact about this device, newest first" flush className="timeline-panel">
      {whyNot !== undefined && (
        <Empty title="Not for your role">
          <p>{whyNot}</p>
        </Empty>
      )}
      {error && <ProblemNote error={error} retry={() => void refetch()} />}
      {!data && !error && whyNot === undefined && <Skeleton lines={8} />}
      {data && known.length === 0 && <Empty title="Nothing recorded yet" />}
      {known.length > 0 && <Facts facts={known} marked={marked} label={`Facts about ${id}, newest first`} />}
      {known.length > 0 && hasNextPage && (
        <div className="more">
          <Button busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {isFetchingNextPage ? "Loading…" : "Load more"}
          </Button>
        </div>
      )}
    </Panel>
  );
}
