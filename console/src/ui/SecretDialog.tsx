import type { ReactNode } from "react";
import { Button } from "./Button";
import { Cli, CopyButton } from "./Copy";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";

/** A secret, shown this once. */
export function SecretDialog({ title, secret, command, children, onClose }: { title: string; secret: string; command?: string; children: ReactNode; onClose: () => void }) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="effect">
        <Icon name="warning" />
        <p>
          <b>Copy it now: it is not shown again.</b> {children}
        </p>
      </div>
      <div className="secret">
        <code>{secret}</code>
        <CopyButton text={secret} label="Copy secret">
          Copy
        </CopyButton>
      </div>
      {command !== undefined && <Cli command={command} label="On the device" />}
      <footer className="dialog-foot">
        <Button tone="primary" onClick={onClose}>
          I have it
        </Button>
      </footer>
    </Dialog>
  );
}
