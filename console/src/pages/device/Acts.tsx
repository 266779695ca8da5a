// What a person can do to a device's trust. Each act says what follows before it is done.

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { at, post } from "../../api/client";
import { REVOCATION_REASONS, type Device, type RevocationReason } from "../../api/types";
import { cli } from "../../cli";
import { DURATION } from "../../format";
import { useWhyNot } from "../../permissions";
import { ActDialog } from "../../ui/ActDialog";
import { Button } from "../../ui/Button";
import { SelectField, TextField } from "../../ui/Field";
import { say } from "../../ui/Toast";
import { REVOCATION } from "../../words";

type Act = "quarantine" | "release" | "revoke" | "retire";

export function Acts({ device }: { device: Device }) {
  const [act, setAct] = useState<Act>();
  const contain = useWhyNot("device.contain");
  const revoke = useWhyNot("certificate.revoke");
  const retire = useWhyNot("device.write");
  const isRetired = device.lifecycle === "retired";
  const { state } = device.trust;
  const close = () => setAct(undefined);
  return (
    <>
      {state === "quarantined" ? (
        <Button icon="play" whyNot={contain} onClick={() => setAct("release")}>
          Release
        </Button>
      ) : (
        <Button icon="quarantined" whyNot={contain ?? (state === "revoked" ? "It is revoked already: every door refuses it." : undefined)} onClick={() => setAct("quarantine")}>
          Quarantine
        </Button>
      )}
      <Button icon="revoked" tone="danger" whyNot={revoke ?? (state === "revoked" ? "It is revoked already." : undefined)} onClick={() => setAct("revoke")}>
        Revoke
      </Button>
      {!isRetired && (
        <Button icon="exit" whyNot={retire} onClick={() => setAct("retire")}>
          Retire
        </Button>
      )}
      {act === "retire" && <Retire device={device} onClose={close} />}
      {act === "quarantine" && <Quarantine device={device} onClose={close} />}
      {act === "release" && <Release device={device} onClose={close} />}
      {act === "revoke" && <Revoke device={device} onClose={close} />}
    </>
  );
}

/** Posts the act; the answer is the device as it is now. */
function useAct(id: string): (name: Act, body: Record<string, string>, done: string) => Promise<void> {
  const client = useQueryClient();
  return async (name, body, done) => {
    const changed = await post<Device | undefined>(`/devices${at(id, name)}`, body);
    if (changed?.trust) client.setQueryData(["device", id], changed);
    void client.invalidateQueries({ queryKey: ["device", id] });
    void client.invalidateQueries({ queryKey: ["devices"] });
    void client.invalidateQueries({ queryKey: ["overview"] });
    say(done);
  };
}

function Quarantine({ device, onClose }: { device: Device; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const [expires, setExpires] = useState("");
  const act = useAct(device.id);
  const text = reason.trim();
  const badExpiry = expires !== "" && !DURATION.test(expires);
  return (
    <ActDialog
      title={`Quarantine ${device.id}`}
      verb="Quarantine"
      effect={
        <p>
          <b>Its live connections are cut within a second.</b> It may only read its own status until it is released. Its certificate stays valid, so a release brings it back at once.
        </p>
      }
      command={cli.quarantine(device.id, text || "REASON", badExpiry ? undefined : expires || undefined)}
      ready={text !== "" && !badExpiry}
      act={() => act("quarantine", { reason: text, ...(expires && { expires }) }, `${device.id} is quarantined.`)}
      onClose={onClose}
    >
      <TextField label="Reason" hint="Recorded in the fact log, shown to whoever looks at the device." value={reason} onChange={(event) => setReason(event.target.value)} data-autofocus required maxLength={500} />
      <TextField
        label="Ends by itself after"
        optional
        mono
        placeholder="12h"
        hint="30m, 12h or 7d. Empty: until somebody releases it."
        error={badExpiry ? "Write a number and s, m, h or d." : undefined}
        value={expires}
        onChange={(event) => setExpires(event.target.value.trim())}
      />
    </ActDialog>
  );
}

function Release({ device, onClose }: { device: Device; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const act = useAct(device.id);
  const text = reason.trim();
  return (
    <ActDialog
      title={`Release ${device.id}`}
      verb="Release"
      effect={
        <p>
          The quarantine ends. Trust is decided again from all other facts, so the device is <b>trusted only if nothing else speaks against it</b>.
        </p>
      }
      command={cli.release(device.id, text || "REASON")}
      ready={text !== ""}
      act={() => act("release", { reason: text }, `${device.id} is released.`)}
      onClose={onClose}
    >
      <TextField label="Reason" hint="What was found, and why it is safe again." value={reason} onChange={(event) => setReason(event.target.value)} data-autofocus required maxLength={500} />
    </ActDialog>
  );
}

function Retire({ device, onClose }: { device: Device; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const act = useAct(device.id);
  const text = reason.trim();
  return (
    <ActDialog
      danger
      title={`Retire ${device.id}`}
      verb="Retire for good"
      effect={
        <p>
          <b>Its life ends here: its certificates are revoked and no claim brings it back.</b> Its record stays. To cut off a device that may return, quarantine or revoke it.
        </p>
      }
      command={cli.retire(device.id, text || "REASON")}
      ready={text !== "" && typed === device.id}
      act={() => act("retire", { reason: text }, `${device.id} is retired.`)}
      onClose={onClose}
    >
      <TextField label="Reason" hint="Recorded in the fact log." value={reason} onChange={(event) => setReason(event.target.value)} data-autofocus required maxLength={500} />
      <TextField label="Type the device id to confirm" mono placeholder={device.id} value={typed} onChange={(event) => setTyped(event.target.value.trim())} required />
    </ActDialog>
  );
}

function Revoke({ device, onClose }: { device: Device; onClose: () => void }) {
  const [reason, setReason] = useState<RevocationReason>("keyCompromise");
  const [comment, setComment] = useState("");
  const [typed, setTyped] = useState("");
  const act = useAct(device.id);
  const text = comment.trim();
  return (
    <ActDialog
      danger
      title={`Revoke ${device.id}`}
      verb="Revoke for good"
      effect={
        <p>
          <b>Cut off at once on every door; needs a new claim to come back.</b> All its certificates are revoked and enter the revocation list. This cannot be undone.
        </p>
      }
      command={cli.revoke(device.id, reason, text)}
      ready={typed === device.id}
      act={() => act("revoke", { reason, ...(text && { comment: text }) }, `${device.id} is revoked.`)}
      onClose={onClose}
    >
      <SelectField label="Reason, as RFC 5280 names it" value={reason} onChange={(event) => setReason(event.target.value as RevocationReason)} data-autofocus>
        {REVOCATION_REASONS.map((name) => (
          <option key={name} value={name}>
            {REVOCATION[name]}
          </option>
        ))}
      </SelectField>
      <TextField label="Comment" optional hint="Recorded in the fact log." value={comment} onChange={(event) => setComment(event.target.value)} maxLength={500} />
      <TextField label="Type the device id to confirm" mono placeholder={device.id} value={typed} onChange={(event) => setTyped(event.target.value.trim())} required />
    </ActDialog>
  );
}
