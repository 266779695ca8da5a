// Things to be done once on the device, each with an id, an end and an answer.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { at, post } from "../../api/client";
import { commands } from "../../api/queries";
import type { Command } from "../../api/types";
import { cli } from "../../cli";
import { parseObject } from "../../json";
import { useWhyNot } from "../../permissions";
import { Button } from "../../ui/Button";
import { Cli } from "../../ui/Copy";
import { SelectField, TextField } from "../../ui/Field";
import { Icon, type IconName } from "../../ui/Icon";
import { Panel, Skeleton } from "../../ui/Panel";
import { ProblemNote } from "../../ui/Problem";
import { Ago } from "../../ui/Time";
import { say } from "../../ui/Toast";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export function Commands({ id }: { id: string }) {
  const { data, error } = useQuery(commands(id));
  const [form, setForm] = useState(false);
  const whyNot = useWhyNot("command.send");
  return (
    <Panel
      title="Commands"
      className="commands-panel"
      actions={
        !form && (
          <Button icon="send" whyNot={whyNot} onClick={() => setForm(true)}>
            Send
          </Button>
        )
      }
    >
      {form && <Form id={id} onDone={() => setForm(false)} />}
      {error && <ProblemNote error={error} />}
      {!data && !error && <Skeleton lines={2} />}
      {data && data.items.length === 0 && !form && <p className="faint">None sent yet. A command is done once, and answered.</p>}
      {data && data.items.length > 0 && (
        <ul className="commands">
          {data.items.map((command) => (
            <Line key={command.id} command={command} />
          ))}
        </ul>
      )}
    </Panel>
  );
}

const LOOK: Record<string, { icon: IconName; tone: string }> = {
  done: { icon: "check", tone: "ok" },
  failed: { icon: "warning", tone: "bad" },
  refused: { icon: "revoked", tone: "bad" },
  expired: { icon: "clock", tone: "faint" },
};

function Line({ command }: { command: Command }) {
  const look = LOOK[command.state] ?? { icon: "clock" as const, tone: "" };
  const args = JSON.stringify(command.args ?? {});
  const result = command.result === null || command.result === undefined ? "" : JSON.stringify(command.result);
  return (
    <li>
      <div className="command-line">
        <b className="mono">{command.name}</b>
        {args !== "{}" && <code className="command-args">{args}</code>}
        <span className={`command-state ${look.tone}`}>
          <Icon name={look.icon} size={14} /> {command.state}
        </span>
        <span className="faint">
          <Ago at={command.created_at} />
        </span>
      </div>
      {result && result !== "{}" && <code className="command-result">{result}</code>}
    </li>
  );
}

function Form({ id, onDone }: { id: string; onDone: () => void }) {
  const [name, setName] = useState("");
  const [args, setArgs] = useState("");
  const [expires, setExpires] = useState("1h");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const client = useQueryClient();
  const parsed = args.trim() ? parseObject(args) : { value: undefined, error: undefined };
  const ready = NAME.test(name) && parsed.error === undefined;
  const send = async () => {
    if (!ready || busy) return;
    setBusy(true);
    setError(undefined);
    try {
      await post(`/devices${at(id)}/commands`, { name, expires, ...(parsed.value && { args: parsed.value }) });
      void client.invalidateQueries({ queryKey: ["commands", id] });
      say(`${name} is on its way to ${id}.`);
      onDone();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <form
      className="command-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div className="field-row">
        <TextField label="Command" mono placeholder="reboot" autoFocus value={name} error={name !== "" && !NAME.test(name) ? "Letters, digits, dot, - and _." : undefined} onChange={(event) => setName(event.target.value.trim())} />
        <SelectField label="Give up after" value={expires} onChange={(event) => setExpires(event.target.value)}>
          <option value="5m">5 minutes</option>
          <option value="1h">1 hour</option>
          <option value="24h">1 day</option>
          <option value="7d">7 days</option>
        </SelectField>
      </div>
      <TextField label="Arguments as JSON" optional mono placeholder='{"delay_s": 5}' value={args} error={parsed.error} onChange={(event) => setArgs(event.target.value)} />
      {error !== undefined && <ProblemNote error={error} />}
      <Cli command={cli.send(id, name || "NAME", parsed.value && JSON.stringify(parsed.value), expires)} />
      <div className="form-acts">
        <Button tone="quiet" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" tone="primary" icon="send" busy={busy} whyNot={ready ? undefined : "Name the command first; arguments are a JSON object."}>
          Send
        </Button>
      </div>
    </form>
  );
}
