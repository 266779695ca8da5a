// The configuration wanted of the device, and which one it says it has applied.

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { at, put } from "../../api/client";
import type { DesiredConfig, Device } from "../../api/types";
import { cli } from "../../cli";
import { parseObject } from "../../json";
import { useWhyNot } from "../../permissions";
import { Button } from "../../ui/Button";
import { Cli } from "../../ui/Copy";
import { TextArea } from "../../ui/Field";
import { Icon } from "../../ui/Icon";
import { Panel, Skeleton } from "../../ui/Panel";
import { ProblemNote } from "../../ui/Problem";
import { Ago } from "../../ui/Time";
import { say } from "../../ui/Toast";

export function Config({ id, data }: { id: string; data: Device | undefined }) {
  const [text, setText] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const client = useQueryClient();
  const whyNot = useWhyNot("device.write");
  const config = data?.config ?? null;
  const original = config ? JSON.stringify(config.config, null, 2) : "{\n}";
  const draft = text ?? original;
  const parsed = parseObject(draft);
  const changed = text !== undefined && (parsed.error !== undefined || JSON.stringify(parsed.value) !== JSON.stringify(config?.config ?? {}));
  const save = async () => {
    if (parsed.error !== undefined || busy) return;
    setBusy(true);
    setError(undefined);
    try {
      await put(`/devices${at(id)}/config`, { config: parsed.value });
      await client.invalidateQueries({ queryKey: ["device", id] });
      setText(undefined);
      say("Configuration recorded; the device gets it now, or as soon as it connects.");
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title="Desired configuration" aside={config && <Version config={config} />} className="config-panel">
      {data ? (
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            void save();
          }}
        >
          {!config && text === undefined && <p className="hint">None is set yet. What you save here is sent to the device until it says it has applied it.</p>}
          <TextArea
            label="Configuration as JSON"
            mono
            rows={Math.min(18, Math.max(4, draft.split("\n").length))}
            value={draft}
            readOnly={whyNot !== undefined}
            error={changed ? parsed.error : undefined}
            onChange={(event) => setText(event.target.value)}
          />
          {config?.status === "failed" && (
            <p className="field-error">
              <Icon name="warning" size={14} /> The device could not apply version {config.version}
              {config.detail ? `: ${config.detail}` : "."}
            </p>
          )}
          {error !== undefined && <ProblemNote error={error} />}
          {changed && parsed.error === undefined && <Cli command={cli.config(id, JSON.stringify(parsed.value))} />}
          <div className="form-acts">
            {changed && (
              <Button
                tone="quiet"
                onClick={() => {
                  setText(undefined);
                  setError(undefined);
                }}
              >
                Discard
              </Button>
            )}
            {changed && parsed.error === undefined && draft !== parsed.pretty && (
              <Button tone="quiet" onClick={() => setText(parsed.pretty)}>
                Set neatly
              </Button>
            )}
            <Button type="submit" tone={changed ? "primary" : "plain"} busy={busy} whyNot={whyNot ?? (!changed ? "Nothing is changed." : parsed.error !== undefined ? "This is not a JSON object yet." : undefined)}>
              {config ? `Save as version ${config.version + 1}` : "Save as version 1"}
            </Button>
          </div>
        </form>
      ) : (
        <Skeleton lines={6} />
      )}
    </Panel>
  );
}

function Version({ config }: { config: DesiredConfig }) {
  const applied = config.applied_version === config.version;
  return (
    <span className={applied ? "ok" : config.status === "failed" ? "bad" : "warn"}>
      <Icon name={applied ? "check" : config.status === "failed" ? "warning" : "clock"} size={14} /> version {config.version}{" "}
      {applied ? "applied" : config.status === "failed" ? "failed" : "not applied yet"}
      {!applied && config.applied_version !== null && `, ${config.applied_version} is`}
      <span className="faint">
        {" "}
        · <Ago at={config.updated_at} />
      </span>
    </span>
  );
}
