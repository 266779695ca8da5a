// A claim lets one device enrol once. Making it registers the device when it is new.

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "../api/client";
import type { NewClaim } from "../api/types";
import { cli } from "../cli";
import { DURATION } from "../format";
import { ActDialog } from "../ui/ActDialog";
import { TextField } from "../ui/Field";
import { Ago } from "../ui/Time";
import { SecretDialog } from "../ui/SecretDialog";

const DEVICE_ID = /^[a-z0-9][a-z0-9-]{0,62}$/;
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export function ClaimDialog({ device, onClose }: { device?: string; onClose: () => void }) {
  const [id, setId] = useState(device ?? "");
  const [type, setType] = useState("");
  const [expires, setExpires] = useState("24h");
  const [made, setMade] = useState<NewClaim>();
  const client = useQueryClient();
  if (made) {
    return (
      <SecretDialog title={`Claim for ${made.device}`} secret={made.claim} command={cli.enrol(made.device)} onClose={onClose}>
        Give it to the device within the time it lives: it runs out <Ago at={made.expires_at} /> and works once.
      </SecretDialog>
    );
  }
  const badId = id !== "" && !DEVICE_ID.test(id);
  const badType = type !== "" && !NAME.test(type);
  const badExpiry = !DURATION.test(expires);
  return (
    <ActDialog
      title={device ? `Claim for ${device}` : "Add a device"}
      verb="Make claim"
      effect={
        <p>
          {device ? "The device may enrol once and gets a certificate." : "The device is registered and may enrol once. It makes its own key and gets a certificate for it."} <b>The claim is shown once.</b>
        </p>
      }
      command={cli.claim(id || "DEVICE", badExpiry ? undefined : expires, badType ? undefined : type)}
      ready={id !== "" && !badId && !badType && !badExpiry}
      act={async () => {
        const claim = await post<NewClaim>("/claims", { device: id, expires, ...(type && { type }) });
        void client.invalidateQueries({ queryKey: ["devices"] });
        void client.invalidateQueries({ queryKey: ["device", id] });
        void client.invalidateQueries({ queryKey: ["overview"] });
        return claim;
      }}
      onDone={setMade}
      onClose={onClose}
    >
      {!device && (
        <TextField
          label="Device id"
          mono
          placeholder="meter-1"
          hint="It becomes the name in its certificate and a part of its topics. It cannot be changed."
          error={badId ? "1 to 63 of a-z, 0-9 and -, not starting with -." : undefined}
          value={id}
          onChange={(event) => setId(event.target.value.trim())}
          data-autofocus
          required
        />
      )}
      {!device && <TextField label="Type" optional placeholder="meter" error={badType ? "1 to 63 of a-z, 0-9, dot, - and _." : undefined} value={type} onChange={(event) => setType(event.target.value.trim())} />}
      <TextField label="Claim lives for" mono error={badExpiry ? "Write a number and s, m, h or d." : undefined} value={expires} onChange={(event) => setExpires(event.target.value.trim())} required />
    </ActDialog>
  );
}
