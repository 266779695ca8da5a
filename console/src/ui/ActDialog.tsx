// One shape for everything that changes the fleet: what will happen, what is needed, the same as a command, the act.

import { type ReactNode, useState } from "react";
import { Button } from "./Button";
import { Cli } from "./Copy";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { ProblemNote } from "./Problem";

interface Props<T> {
  title: string;
  /** The effect, spelled out. */
  effect: ReactNode;
  verb: string;
  danger?: boolean;
  command?: string;
  ready?: boolean;
  children?: ReactNode;
  act: () => Promise<T>;
  onClose: () => void;
  /** What follows the act in place of closing. */
  onDone?: (result: T) => void;
}

export function ActDialog<T>({ title, effect, verb, danger = false, command, ready = true, children, act, onClose, onDone = onClose }: Props<T>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const submit = async () => {
    if (busy || !ready) return;
    setBusy(true);
    setError(undefined);
    try {
      onDone(await act());
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <div className={danger ? "effect danger" : "effect"}>
          <Icon name={danger ? "warning" : "info"} />
          <div>{effect}</div>
        </div>
        {children}
        {error !== undefined && <ProblemNote error={error} />}
        {command !== undefined && <Cli command={command} />}
        <footer className="dialog-foot">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" tone={danger ? "danger" : "primary"} busy={busy} whyNot={ready ? undefined : "Fill in what is asked for above."}>
            {verb}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
