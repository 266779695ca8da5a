import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { deviceCertificates } from "../../api/queries";
import type { CertificateSummary, Device } from "../../api/types";
import { grouped, localDate } from "../../format";
import { useNow } from "../../live/now";
import { useAllowed, useWhyNot } from "../../permissions";
import { Button } from "../../ui/Button";
import { CopyButton } from "../../ui/Copy";
import { Icon } from "../../ui/Icon";
import { Empty, Pair, Pairs } from "../../ui/Panel";
import { ProblemNote } from "../../ui/Problem";
import { Ago, Moment } from "../../ui/Time";
import { ClaimDialog } from "../Claim";
import { Expiry } from "../Devices";

export function Certificate({ device }: { device: Device }) {
  const [claiming, setClaiming] = useState(false);
  const whyNot = useWhyNot("claim.create");
  const { certificate, trust } = device;
  const canReturn = device.lifecycle !== "retired" && (certificate === null || trust.state === "revoked" || trust.state === "unknown");
  return (
    <>
      {certificate ? (
        <Shown device={device.id} certificate={certificate} />
      ) : (
        <Empty title="No certificate">
          <p>It has not enrolled yet. A claim lets it enrol once.</p>
        </Empty>
      )}
      {canReturn && (
        <Button icon="plus" whyNot={whyNot} onClick={() => setClaiming(true)}>
          Make a claim
        </Button>
      )}
      {/* Stays open whatever becomes of the device meanwhile: it may hold a secret that is shown once. */}
      {claiming && <ClaimDialog device={device.id} onClose={() => setClaiming(false)} />}
    </>
  );
}

function Shown({ device, certificate }: { device: string; certificate: CertificateSummary }) {
  const [history, setHistory] = useState(false);
  const readable = useAllowed("certificate.read");
  return (
    <>
      <Life from={certificate.not_before} to={certificate.not_after} />
      <Pairs>
        <Pair name="Status">
          <Status of={certificate} />
        </Pair>
        <Pair name="Runs out">
          <Expiry at={certificate.not_after} /> <span className="faint">({<Moment at={certificate.not_after} />})</span>
        </Pair>
        <Pair name="Serial">
          <span className="mono break">{grouped(certificate.serial)}</span>
          <CopyButton text={certificate.serial} label="Copy serial" />
        </Pair>
        <Pair name="SHA-256">
          <span className="mono break">{grouped(certificate.fingerprint)}</span>
          <CopyButton text={certificate.fingerprint} label="Copy fingerprint" />
        </Pair>
        <Pair name="Issuer">
          <span className="mono break">{certificate.issuer}</span>
        </Pair>
        <Pair name="Key">
          {certificate.key_type}, profile {certificate.profile}
        </Pair>
      </Pairs>
      {readable && (
        <Button tone="quiet" icon="down" className={history ? "is-open" : ""} aria-expanded={history} onClick={() => setHistory(!history)}>
          All its certificates
        </Button>
      )}
      {history && <History id={device} />}
    </>
  );
}

function Status({ of: { status, reason, revoked_at } }: { of: CertificateSummary }) {
  if (status === "valid") {
    return (
      <span className="ok">
        <Icon name="check" size={14} /> valid
      </span>
    );
  }
  return (
    <span className="bad">
      <Icon name={status === "revoked" ? "revoked" : "warning"} size={14} /> {status}
      {reason && `: ${reason}`}
      {revoked_at && (
        <>
          {" "}
          <Ago at={revoked_at} />
        </>
      )}
    </span>
  );
}

/** Where a certificate stands in its life; renewal is due at two thirds. */
function Life({ from, to }: { from: string; to: string }) {
  const now = useNow().getTime();
  const start = Date.parse(from);
  const end = Date.parse(to);
  const used = Math.max(0, Math.min(1, (now - start) / (end - start)));
  return (
    <div className="life">
      <div className="life-bar" aria-hidden="true">
        <span className={used > 0.9 ? "used late" : "used"} style={{ inlineSize: `${used * 100}%` }} />
        <span className="mark" title="Renewal is due from here" />
      </div>
      <div className="life-words">
        <span className="num">{localDate(new Date(start))}</span>
        <span>{used < 2 / 3 ? "renewal due at two thirds" : "renewal due"}</span>
        <span className="num">{localDate(new Date(end))}</span>
      </div>
    </div>
  );
}

function History({ id }: { id: string }) {
  const { data, error } = useQuery(deviceCertificates(id));
  if (error) return <ProblemNote error={error} />;
  return (
    <table className="table tight">
      <thead>
        <tr>
          <th scope="col">Serial</th>
          <th scope="col">Status</th>
          <th scope="col">Issued</th>
        </tr>
      </thead>
      <tbody>
        {data?.items.map((each) => (
          <tr key={each.serial}>
            <td className="mono" title={each.serial}>
              {each.serial.slice(0, 12)}…
            </td>
            <td>
              <Status of={each} />
            </td>
            <td>
              <Ago at={each.not_before} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
