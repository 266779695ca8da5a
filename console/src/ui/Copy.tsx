import { useEffect, useState } from "react";
import { Button } from "./Button";

export function CopyButton({ text, label = "Copy", children }: { text: string; label?: string; children?: string }) {
  const [state, setState] = useState<"idle" | "done" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = window.setTimeout(() => setState("idle"), 2_000);
    return () => window.clearTimeout(timer);
  }, [state]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setState("done");
    } catch {
      setState("failed");
    }
  };
  const said = state === "done" ? "Copied" : state === "failed" ? "Not allowed: select and copy" : "";
  return (
    <>
      <Button tone="quiet" icon={state === "done" ? "check" : "copy"} aria-label={children ? undefined : label} title={said || label} onClick={() => void copy()}>
        {children && (said || children)}
      </Button>
      <span role="status" className="sr-only">
        {said}
      </span>
    </>
  );
}

/** The command that does the same as the form or button beside it. */
export function Cli({ command, label = "The same on the command line" }: { command: string; label?: string }) {
  return (
    <div className="cli">
      <p className="cli-label">{label}</p>
      <div className="cli-line">
        <code>{command}</code>
        <CopyButton text={command} label="Copy as CLI" />
      </div>
    </div>
  );
}
