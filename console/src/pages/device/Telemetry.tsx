// The newest value of each name, its course over three hours, and on demand the whole series.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { telemetry } from "../../api/queries";
import type { Device, TelemetryValue } from "../../api/types";
import { value as shown } from "../../format";
import { Button } from "../../ui/Button";
import { Chart } from "../../ui/Chart";
import { Icon } from "../../ui/Icon";
import { Empty } from "../../ui/Panel";
import { ProblemNote } from "../../ui/Problem";
import { Sparkline } from "../../ui/Sparkline";
import { Ago } from "../../ui/Time";

const AT_FIRST = 8;

export function Telemetry({ device }: { device: Device }) {
  const [all, setAll] = useState(false);
  const names = Object.keys(device.telemetry).sort();
  if (names.length === 0) {
    return (
      <Empty title="Nothing measured yet">
        <p>
          Values the device publishes on <code>d/{device.id}/up/telemetry/NAME</code> appear here.
        </p>
      </Empty>
    );
  }
  const visible = all ? names : names.slice(0, AT_FIRST);
  return (
    <>
      <ul className="measured">
        {visible.map((name) => {
          const sample = device.telemetry[name];
          return sample && <Measured key={name} device={device.id} name={name} value={sample.value} at={sample.at} />;
        })}
      </ul>
      {names.length > AT_FIRST && (
        <div className="more">
          <Button tone="quiet" onClick={() => setAll(!all)}>
            {all ? `First ${AT_FIRST} only` : `All ${names.length} values`}
          </Button>
        </div>
      )}
    </>
  );
}

function Measured({ device, name, value, at }: { device: string; name: string; value: TelemetryValue; at: string }) {
  const [open, setOpen] = useState(false);
  const numeric = typeof value === "number";
  const { data, error } = useQuery({ ...telemetry(device, name), enabled: numeric });
  const points = (data?.points ?? []).map((point) => ({ at: point.at, value: point.mean }));
  if (numeric && points.length > 0 && Date.parse(at) > Date.parse(points.at(-1)?.at ?? "")) points.push({ at, value });
  const low = data?.points.length ? Math.min(...data.points.map((point) => point.min)) : undefined;
  const high = data?.points.length ? Math.max(...data.points.map((point) => point.max)) : undefined;
  return (
    <li className={open ? "is-open" : ""}>
      <div className="measured-line">
        {numeric ? (
          <button type="button" className="measured-name mono" aria-expanded={open} onClick={() => setOpen(!open)}>
            <Icon name="right" size={12} className="turn" /> {name}
          </button>
        ) : (
          <span className="measured-name mono">{name}</span>
        )}
        <span className="measured-spark">
          {numeric && <Sparkline values={points.map((point) => point.value)} label={`${name} in the last three hours: lowest ${low === undefined ? "unknown" : shown(low)}, highest ${high === undefined ? "unknown" : shown(high)}`} />}
        </span>
        <span className="measured-range num">{low !== undefined && high !== undefined && `${shown(low)} – ${shown(high)}`}</span>
        <b className="measured-value num">{shown(value)}</b>
        <span className="measured-at">
          <Ago at={at} />
        </span>
      </div>
      {open && (error ? <ProblemNote error={error} /> : <Chart title={`${name}, last three hours`} height={168} series={{ name, colour: "--accent", points, format: shown }} />)}
    </li>
  );
}
