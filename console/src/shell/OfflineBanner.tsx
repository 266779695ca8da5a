import { useEffect, useState } from "react";
import { retryNow, useLive } from "../live/stream";
import { Button } from "../ui/Button";
import { Icon } from "../ui/Icon";

const SAY_AFTER_MS = 1_500;

/** Says that what is shown may be old, once the live connection has been gone for more than a moment. */
export function OfflineBanner() {
  const { status, retryAt } = useLive();
  const [shown, setShown] = useState(false);
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (status === "live") {
      setShown(false);
      return;
    }
    const timer = window.setTimeout(() => setShown(true), status === "cut" ? SAY_AFTER_MS : 4 * SAY_AFTER_MS);
    return () => window.clearTimeout(timer);
  }, [status]);
  useEffect(() => {
    const tick = () => setLeft(retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000)));
    tick();
    const timer = window.setInterval(tick, 1_000);
    return () => window.clearInterval(timer);
  }, [retryAt]);
  return (
    <div role="status">
      {shown && status !== "live" && (
        <div className="banner">
          <Icon name="cut" />
          <p>
            <b>The live connection is cut.</b> What you see may be old.{" "}
            <span aria-hidden="true">{left > 0 ? `Next attempt in ${left} s.` : "Trying now…"}</span>
          </p>
          <Button onClick={retryNow}>Try now</Button>
        </div>
      )}
    </div>
  );
}
