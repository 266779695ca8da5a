import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { ApiError } from "../../api/client";
import { device } from "../../api/queries";
import { CAPABILITIES, type Device } from "../../api/types";
import { cli } from "../../cli";
import { bytes, rate } from "../../format";
import { useLive } from "../../live/stream";
import { Cli, CopyButton } from "../../ui/Copy";
import { FactNumber } from "../../ui/FactNumber";
import { Icon } from "../../ui/Icon";
import { Pair, Pairs, Panel, Skeleton } from "../../ui/Panel";
import { Prose, sentence } from "../../ui/Prose";
import { ProblemNote } from "../../ui/Problem";
import { Ago, Moment } from "../../ui/Time";
import { Trust } from "../../ui/Trust";
import { CAPABILITY, TRUST } from "../../words";
import { Connected } from "../Devices";
import { PageHead } from "../Title";
import { Acts } from "./Acts";
import { Certificate } from "./Certificate";
import { Commands } from "./Commands";
import { Config } from "./Config";
import { Telemetry } from "./Telemetry";
import { Timeline } from "./Timeline";

export function DevicePage() {
  const { id } = useParams({ from: "/console/devices/$id" });
  const { data, error, refetch } = useQuery(device(id));
  return (
    <>
      <nav aria-label="Breadcrumb" className="crumbs">
        <Link to="/devices">Devices</Link>
      </nav>
      <PageHead title={id} mono note={<Facets data={data} id={id} />}>
        {data && <Acts device={data} />}
      </PageHead>
      {error && !data ? <Failed error={error} id={id} retry={() => void refetch()} /> : <Body key={id} id={id} data={data} />}
    </>
  );
}

function Facets({ data, id }: { data: Device | undefined; id: string }) {
  return (
    <>
      <CopyButton text={id} label="Copy device id" />
      {data && (
        <>
          <span>{data.type ?? "no type"}</span>
          <Connected on={data.connected} />
          {data.lifecycle === "retired" && <span className="tag">{data.lifecycle}</span>}
          {data.groups.map((group) => (
            <Link key={group} to="/devices" search={{ group }} className="tag">
              {group}
            </Link>
          ))}
        </>
      )}
    </>
  );
}

function Body({ id, data }: { id: string; data: Device | undefined }) {
  return (
    <div className="columns device-columns">
      <div className="column">
        <TrustPanel data={data} />
        <Panel title="Telemetry" aside={data && `${rate(data.rates.messages_per_minute)} msg/min · ${bytes(data.rates.bytes_per_minute)}/min`} flush className="telemetry-panel">
          {data ? <Telemetry device={data} /> : <Skeleton lines={5} />}
        </Panel>
        <Timeline id={id} />
      </div>
      <div className="column">
        <Panel title="Certificate" className="certificate-panel">
          {data ? <Certificate device={data} /> : <Skeleton lines={6} />}
        </Panel>
        <Panel title="Connection">{data ? <Connection data={data} /> : <Skeleton lines={4} />}</Panel>
        <Config id={id} data={data} />
        <Commands id={id} />
      </div>
    </div>
  );
}

function TrustPanel({ data }: { data: Device | undefined }) {
  if (!data) {
    return (
      <Panel title="Trust" className="trust-panel">
        <Skeleton lines={5} />
      </Panel>
    );
  }
  const { trust } = data;
  return (
    <Panel
      title="Trust"
      className={`trust-panel edge ${trust.state}`}
      aside={
        trust.since && (
          <>
            since <Moment at={trust.since} />
          </>
        )
      }
    >
      <div className="verdict">
        <Trust state={trust.state} large />
        <p>{TRUST[trust.state]?.effect}</p>
      </div>
      <h3>Because</h3>
      {trust.reasons.length === 0 ? (
        <p className="faint">Nothing speaks against it.</p>
      ) : (
        <ol className="reasons">
          {trust.reasons.map((reason, i) => (
            <li key={`${reason.code} ${i}`}>
              <span>
                <Prose text={sentence(reason.text)} />
              </span>
              <span className="mono faint">{reason.code}</span>
              {reason.fact !== null && <FactNumber seq={reason.fact} device={data.id} />}
            </li>
          ))}
        </ol>
      )}
      {trust.review_at && (
        <p className="review">
          <Icon name="clock" size={14} /> Decided again <Ago at={trust.review_at} />
        </p>
      )}
      <h3>It may</h3>
      <ul className="capabilities">
        {CAPABILITIES.map((name) => {
          const may = trust.capabilities.includes(name);
          return (
            <li key={name} className={may ? "may" : "may-not"}>
              <Icon name={may ? "check" : "cross"} size={14} />
              <span>
                {!may && <span className="sr-only">not: </span>}
                {CAPABILITY[name]}
              </span>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

function Connection({ data }: { data: Device }) {
  const live = useLive();
  return (
    <Pairs>
      <Pair name="State">
        <Connected on={data.connected} />
        {live.status !== "live" && <span className="faint"> as of the last answer</span>}
      </Pair>
      {data.connection && (
        <>
          <Pair name="Since">
            <Moment at={data.connection.since} />
          </Pair>
          <Pair name="From">
            <span className="mono">{data.connection.address}</span>
          </Pair>
          <Pair name="Client id">
            <span className="mono">{data.connection.client_id}</span>
          </Pair>
        </>
      )}
      <Pair name="Last seen">{data.last_seen ? <Ago at={data.last_seen} /> : <span className="faint">never</span>}</Pair>
      <Pair name="Registered">
        <Moment at={data.created_at} />
      </Pair>
      {Object.entries(data.labels).map(([name, value]) => (
        <Pair key={name} name={name}>
          {value}
        </Pair>
      ))}
    </Pairs>
  );
}

function Failed({ error, id, retry }: { error: unknown; id: string; retry: () => void }) {
  if (!(error instanceof ApiError && error.problem.status === 404)) return <ProblemNote error={error} retry={retry} />;
  return (
    <Panel title="There is no such device">
      <p>
        No device is registered as <b className="mono">{id}</b>. A claim registers it and lets it enrol:
      </p>
      <Cli command={cli.claim(id)} />
    </Panel>
  );
}
