// The end of a one-time link. A click is needed, so that a mail scanner or a preview cannot use the link up.

import { useQueryClient } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { ApiError, post } from "../api/client";
import { cli } from "../cli";
import { forgetToken, heldToken, onNewToken } from "../link";
import { Button } from "../ui/Button";
import { Cli } from "../ui/Copy";
import { Icon, Mark } from "../ui/Icon";
import { ProblemNote } from "../ui/Problem";

/** A path of this console, or its front page: an address from outside never decides where one lands. */
export function safePath(from: string | undefined): string {
  return from && /^\/(?![/\\])/.test(from) && !from.startsWith("/sign-in") ? from : "/";
}

export function SignIn() {
  const router = useRouter();
  const client = useQueryClient();
  const { from } = useSearch({ from: "/sign-in" });
  const [token, setToken] = useState(heldToken);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    document.title = "Sign in · Ironroot";
    return onNewToken(() => {
      setError(undefined);
      setToken(heldToken());
    });
  }, []);
  const signIn = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await post("/session/link", { token });
      forgetToken();
      client.clear();
      router.history.replace(safePath(from));
    } catch (failure) {
      setError(failure);
      setBusy(false);
      if (failure instanceof ApiError && failure.problem.status >= 400 && failure.problem.status < 429) {
        forgetToken();
        setToken(null);
      }
    }
  };
  return (
    <main className="alone sign-in" id="page">
      <p className="brand">
        <Mark size={32} /> Ironroot
      </p>
      <div className="sign-in-panel">
        {token ? (
          <>
            <h1>Sign in to this platform</h1>
            <p>
              You opened a one-time link made on the platform's host. Signing in uses it up and gives this browser a session at <span className="mono">{location.host}</span>.
            </p>
            {error !== undefined && <ProblemNote error={error} />}
            <Button tone="primary" className="wide" busy={busy} onClick={() => void signIn()}>
              {busy ? "Signing in…" : "Sign in"}
            </Button>
            <p className="faint">Did nobody give you this link? Close the page: a link works once and runs out by itself.</p>
          </>
        ) : (
          <>
            <h1>{error === undefined ? "Sign in with a one-time link" : "This link does not work"}</h1>
            {error !== undefined && <ProblemNote error={error} />}
            <p>
              {error === undefined
                ? "There is no password to guess. Make a link on the platform's host and open it in this browser:"
                : "A link works once and for a short time. Make a new one on the platform's host and open it in this browser:"}
            </p>
            <Cli command={cli.link()} label="On the platform's host" />
            <p className="faint">An administrator who is signed in can also make one for you: Access, Sign-in link.</p>
          </>
        )}
      </div>
      <p className="sign-in-foot">
        <Icon name="trusted" size={14} /> Nothing is stored in this browser but a session cookie that scripts cannot read.
      </p>
    </main>
  );
}
