// The strip of instruments at the foot of every page: is it live, who is connected, how far the record is verified.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { status } from "../api/queries";
import { count, rate } from "../format";
import { useLive } from "../live/stream";
import { useAllowed } from "../permissions";
import { Icon } from "../ui/Icon";

export function Strip() {
  const live = useLive();
  const { data } = useQuery(status());
  const mayRead = useAllowed("fact.read");
  const connected = live.pulse?.connected ?? data?.devices.connected;
  const head = live.pulse?.head ?? data?.log.head;
  const word = { live: "Live", connecting: "Connecting", cut: "Not live" }[live.status];
  const bad = data !== undefined && !data.log.verified;
  const look = bad ? "strip-log bad" : "strip-log";
  const log = (
    <>
      <Icon name={bad ? "warning" : "seal"} size={14} />
      <span className="strip-more">log </span>
      <b className="num">#{head ?? "–"}</b> {data && (bad ? "NOT verified" : "verified")}
    </>
  );
  return (
    <footer className="strip" aria-label="Platform">
      <span className={`live ${live.status}`}>
        <span className="live-dot" aria-hidden="true" /> {word}
      </span>
      <span>
        <b className="num">{connected === undefined ? "–" : count(connected)}</b>
        {data && <span className="strip-more num">/{count(data.devices.total)}</span>} connected
      </span>
      <span className="strip-more">
        <b className="num">{live.pulse ? rate(live.pulse.messages_per_second) : "–"}</b> msg/s
      </span>
      {mayRead ? (
        <Link to="/log" className={look}>
          {log}
        </Link>
      ) : (
        <span className={look}>{log}</span>
      )}
      {data && (
        <span className="strip-end strip-more">
          {data.store.engine} · {data.version}
        </span>
      )}
    </footer>
  );
}
