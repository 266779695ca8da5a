import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { overview, status } from "../api/queries";
import type { Attention, Overview as OverviewData, Warning } from "../api/types";
import { cli } from "../cli";
import { count, plural, rate } from "../format";
import { useLive } from "../live/stream";
import { Chart } from "../ui/Chart";
import { Cli } from "../ui/Copy";
import { HourBars } from "../ui/HourBars";
import { Icon } from "../ui/Icon";
import { Empty, Panel, Skeleton } from "../ui/Panel";
import { Prose, sentence } from "../ui/Prose";
import { ProblemNote } from "../ui/Problem";
import { Sparkline } from "../ui/Sparkline";
import { Ago } from "../ui/Time";
import { TrustBar } from "../ui/Trust";
import { PageHead } from "./Title";

export function Overview() {
  const { data, error, refetch } = useQuery(overview());
  const { data: health } = useQuery(status());
  return (
    <>
      <PageHead title="Overview" />
      {error && !data && <ProblemNote error={error} retry={() => void refetch()} />}
      {health && health.warnings.length > 0 && <Warnings warnings={health.warnings} />}
      {data && data.devices.total === 0 && <FirstDevice />}
      <Readouts data={data} />
      <Panel title="Trust" aside={data && plural(data.devices.total, "device")} className="trust-panel">
        {data ? (
          <TrustBar
            byTrust={data.devices.by_trust}
            link={(state, children) => (
              <Link to="/devices" search={{ trust: state }}>
                {children}
              </Link>
            )}
          />
        ) : (
          <Skeleton lines={2} />
        )}
      </Panel>
      <div className="columns">
        <div className="column">
          <Panel title="Messages per minute" aside="last hour" className="chart-panel">
            {data ? (
              <Chart
                title="Messages per minute, last hour"
                series={{
                  name: "Messages",
                  colour: "--accent",
                  format: count,
                  fromZero: true,
                  points: lastMinutes(data.messages.history),
                }}
              />
            ) : (
              <div className="chart-space" />
            )}
          </Panel>
          <Panel title="Security facts" aside="last 24 hours, by hour" className="chart-panel hours-panel">
            {data ? <HourBars title="Security facts by hour" hours={lastHours(data.activity)} /> : <div className="chart-space" />}
          </Panel>
        </div>
        <div className="column">
          <Panel title="Needs attention" aside={data && data.attention.length > 0 ? count(data.attention.length) : undefined} flush className="attention-panel">
            {data ? <AttentionList items={data.attention} /> : <Skeleton lines={5} />}
          </Panel>
          <Panel title="Device types" flush>
            {data ? <Types byType={data.devices.by_type} total={data.devices.total} /> : <Skeleton lines={4} />}
          </Panel>
        </div>
      </div>
    </>
  );
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** The last 60 whole minutes; one of which nothing is said had no message. */
function lastMinutes(history: OverviewData["messages"]["history"]): { at: string; value: number }[] {
  const known = new Map(history.map(({ at, messages }) => [Math.floor(Date.parse(at) / MINUTE_MS), messages]));
  const now = Math.floor(Date.now() / MINUTE_MS);
  return Array.from({ length: 60 }, (_, i) => now - 60 + i).map((minute) => ({ at: new Date(minute * MINUTE_MS).toISOString(), value: known.get(minute) ?? 0 }));
}

/** The last 24 hours, the running one included. */
function lastHours(activity: OverviewData["activity"]): OverviewData["activity"] {
  const known = new Map(activity.map(({ at, kinds }) => [Math.floor(Date.parse(at) / HOUR_MS), kinds]));
  const now = Math.floor(Date.now() / HOUR_MS);
  return Array.from({ length: 24 }, (_, i) => now - 23 + i).map((hour) => ({ at: new Date(hour * HOUR_MS).toISOString(), kinds: known.get(hour) ?? {} }));
}

function Readouts({ data }: { data: OverviewData | undefined }) {
  const live = useLive();
  const connected = live.pulse?.connected ?? data?.devices.connected;
  const perSecond = live.pulse?.messages_per_second ?? data?.messages.per_second;
  const head = Math.max(live.pulse?.head ?? 0, data?.log.head ?? 0);
  const soon = data?.certificates.expiring_7d ?? 0;
  return (
    <dl className="readouts">
      <div>
        <dt>Connected</dt>
        <dd>
          <Link to="/devices" search={{ connected: "yes" }} className="reading">
            {connected === undefined ? "–" : count(connected)}
            <span className="reading-of">/{data ? count(data.devices.total) : "–"}</span>
          </Link>
        </dd>
        <dd className="reading-note">
          {data && connected !== undefined && data.devices.total > connected ? (
            <Link to="/devices" search={{ connected: "no" }}>
              {count(data.devices.total - connected)} not connected
            </Link>
          ) : (
            data && (data.devices.total > 0 ? "all of them" : "no devices yet")
          )}
        </dd>
      </div>
      <div>
        <dt>Messages per second</dt>
        <dd className="reading">
          {perSecond === undefined ? "–" : rate(perSecond)}
          <Sparkline values={live.samples} label={`Messages per second in the last ${live.samples.length} seconds`} width={84} height={24} />
        </dd>
        <dd className="reading-note">{live.status === "live" ? "live, each second" : "as of the last answer"}</dd>
      </div>
      <div>
        <dt>Certificates</dt>
        <dd className="reading">
          {data ? count(data.certificates.valid) : "–"}
          <span className="reading-of"> valid</span>
        </dd>
        <dd className="reading-note">
          {soon > 0 && (
            <span className="warn">
              <Icon name="clock" size={14} /> {count(soon)} within 7 d ·{" "}
            </span>
          )}
          {data ? `${count(data.certificates.expiring_30d)} within 30 d · ${count(data.certificates.revoked)} revoked` : "\u00a0"}
        </dd>
      </div>
      <div>
        <dt>Fact log</dt>
        <dd className="reading">
          <Link to="/log">#{head || "–"}</Link>
        </dd>
        <dd className="reading-note">
          {data &&
            (data.log.verified ? (
              <span className="ok">
                <Icon name="seal" size={14} /> chain verified
              </span>
            ) : (
              <span className="bad">
                <Icon name="warning" size={14} /> chain NOT verified
              </span>
            ))}
        </dd>
      </div>
    </dl>
  );
}

function AttentionList({ items }: { items: Attention[] }) {
  if (items.length === 0) {
    return (
      <Empty title="Nothing needs you">
        <p>Quarantined devices, refused enrolments and certificates about to run out appear here.</p>
      </Empty>
    );
  }
  return (
    <ul className="attention">
      {items.map((item) => (
        <li key={`${item.kind} ${item.device} ${item.fact}`} className={item.severity}>
          <span className="severity">
            <Icon name={item.severity === "high" ? "warning" : "info"} />
            <span className="sr-only">{item.severity === "high" ? "High:" : "Medium:"}</span>
          </span>
          <div>
            <p>
              {item.device === null ? (
                <span>the platform</span>
              ) : (
                <Link to="/devices/$id" params={{ id: item.device }} className="mono">
                  {item.device}
                </Link>
              )}{" "}
              <span className="faint">
                {item.count > 1 && `${count(item.count)} times, `}
                <Ago at={item.at} />
              </span>
            </p>
            <p className="attention-text">
              <Prose text={sentence(item.text)} />
            </p>
          </div>
        </li>
      ))}
    </ul>
  );
}

function Types({ byType, total }: { byType: Record<string, number>; total: number }) {
  const rows = Object.entries(byType).sort(([a, x], [b, y]) => y - x || a.localeCompare(b));
  if (rows.length === 0) return <Empty title="No types yet" />;
  return (
    <ul className="types">
      {rows.slice(0, 8).map(([type, n]) => (
        <li key={type}>
          <Link to="/devices" search={{ type }}>
            {type || "no type"}
          </Link>
          <span className="types-bar" aria-hidden="true">
            <span style={{ inlineSize: `${(n / Math.max(1, total)) * 100}%` }} />
          </span>
          <b className="num">{count(n)}</b>
        </li>
      ))}
    </ul>
  );
}

function Warnings({ warnings }: { warnings: Warning[] }) {
  return (
    <ul className="warnings" aria-label="Warnings of the platform">
      {warnings.map((warning) => (
        <li key={warning.code}>
          <Icon name="warning" />
          <p>
            <b>{warning.text}</b> {warning.remedy}
          </p>
        </li>
      ))}
    </ul>
  );
}

function FirstDevice() {
  return (
    <Panel title="Bring in the first device" className="first-device">
      <p>A device proves who it is with a certificate. It gets one with a one-time claim that you make here:</p>
      <Cli command={cli.claim("meter-1")} label="1. On the platform's host" />
      <Cli command={cli.enrol("meter-1")} label="2. On the device" />
      <p className="hint">Or start the platform with a simulated fleet: ironroot up --demo 25</p>
    </Panel>
  );
}
