import { Link, useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { Button } from "../ui/Button";
import { Mark } from "../ui/Icon";
import { ProblemNote } from "../ui/Problem";

export function NotFound() {
  useEffect(() => {
    document.title = "Not found · Ironroot";
  }, []);
  return (
    <main className="alone" id="page" tabIndex={-1}>
      <Mark size={36} />
      <h1>There is no such page</h1>
      <p>
        The address <code>{location.pathname}</code> leads nowhere. It may belong to another version of the console, or have lost a part on its way.
      </p>
      <p className="alone-acts">
        <Link to="/" className="button primary">
          Overview
        </Link>
        <Link to="/devices" className="button plain">
          Devices
        </Link>
      </p>
    </main>
  );
}

/** Shown when a page takes longer than a moment. */
export function Pending() {
  return (
    <p className="pending" role="status">
      Asking the platform…
    </p>
  );
}

/** Shown in place of a page that failed; the frame around it stays. */
export function Crash({ error }: { error: unknown }) {
  const router = useRouter();
  useEffect(() => {
    document.title = "Failed · Ironroot";
  }, []);
  return (
    <div className="alone">
      <h1>This page failed</h1>
      <ProblemNote error={error} />
      <p className="alone-acts">
        <Button tone="primary" onClick={() => void router.invalidate()}>
          Try again
        </Button>
        <Button onClick={() => location.reload()}>Reload the console</Button>
      </p>
    </div>
  );
}
