// A modal dialog on the browser's own <dialog>: focus trap, inert page, Escape and focus return come with it.

import { type ReactNode, useEffect, useId, useLayoutEffect, useRef } from "react";
import { Button } from "./Button";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
  className?: string;
  /** False for the palette, whose first line is its input. */
  heading?: boolean;
}

export function Dialog({ title, onClose, children, className = "", heading = true }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const close = useRef(onClose);
  useEffect(() => {
    close.current = onClose;
  });
  useLayoutEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    const opener = document.activeElement;
    if (!dialog.open) dialog.showModal();
    dialog.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    return () => {
      dialog.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      className={`dialog ${className}`}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        close.current();
      }}
      onMouseDown={(event) => {
        if (event.target === ref.current) close.current();
      }}
    >
      <div className="dialog-body">
        {heading ? (
          <header className="dialog-head">
            <h2 id={titleId}>{title}</h2>
            <Button tone="quiet" icon="cross" aria-label="Close" onClick={() => close.current()} />
          </header>
        ) : (
          <h2 id={titleId} className="sr-only">
            {title}
          </h2>
        )}
        {children}
      </div>
    </dialog>
  );
}
