import { type ReactNode, useEffect } from "react";

/** The page's heading, also the document's title. */
export function PageHead({ title, mono = false, note, children }: { title: string; mono?: boolean; note?: ReactNode; children?: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Ironroot`;
  }, [title]);
  return (
    <div className="page-head">
      <div className="page-title">
        <h1 className={mono ? "mono" : ""}>{title}</h1>
        {note && <div className="page-note">{note}</div>}
      </div>
      {children && <div className="page-acts">{children}</div>}
    </div>
  );
}
