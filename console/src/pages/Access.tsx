// Who and what may use the API: people's sessions, programs' keys, links to come in.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { at, del, post } from "../api/client";
import { apiKeys, sessions, users } from "../api/queries";
import type { ApiKey, NewApiKey, Session, SignInLink } from "../api/types";
import { cli } from "../cli";
import { DURATION } from "../format";
import { useWhyNot } from "../permissions";
import { ActDialog } from "../ui/ActDialog";
import { Button } from "../ui/Button";
import { SelectField, TextField } from "../ui/Field";
import { Empty, Panel, Skeleton } from "../ui/Panel";
import { ProblemNote } from "../ui/Problem";
import { SecretDialog } from "../ui/SecretDialog";
import { Ago } from "../ui/Time";
import { say } from "../ui/Toast";
import { PageHead } from "./Title";
import { Expiry } from "./Devices";

export function Access() {
  const [link, setLink] = useState(false);
  const whyNot = useWhyNot("user.manage");
  return (
    <>
      <PageHead title="Access">
        <Button icon="link" whyNot={whyNot} onClick={() => setLink(true)}>
          Sign-in link
        </Button>
      </PageHead>
      <ApiKeys />
      <Users />
      <Sessions />
      {link && <LinkDialog onClose={() => setLink(false)} />}
    </>
  );
}

const ROLES = [
  ["administrator", "Administrator: everything"],
  ["operator", "Operator: see devices, certificates and the log"],
  ["read-only", "Read-only: see devices"],
] as const;

function ApiKeys() {
  const { data, error, refetch } = useQuery(apiKeys());
  const [creating, setCreating] = useState(false);
  const [created, setCreated] = useState<NewApiKey>();
  const [removing, setRemoving] = useState<ApiKey>();
  const client = useQueryClient();
  const [ended, setEnded] = useState(false);
  const whyNot = useWhyNot("apikey.manage");
  const live = (data?.items ?? []).filter((key) => key.revoked_at === null && Date.parse(key.expires_at) > Date.now());
  const endedCount = (data?.items.length ?? 0) - live.length;
  const shown = ended ? (data?.items ?? []) : live;
  return (
    <Panel
      title="API keys"
      flush
      actions={
        <>
          {endedCount > 0 && (
            <Button tone="quiet" aria-pressed={ended} onClick={() => setEnded(!ended)}>
              {ended ? "Hide ended" : `Show ${endedCount} ended`}
            </Button>
          )}
          <Button icon="plus" whyNot={whyNot} onClick={() => setCreating(true)}>
            New key
          </Button>
        </>
      }
    >
      {error && <ProblemNote error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton lines={3} />}
      {data && shown.length === 0 && (
        <Empty title="No API keys">
          <p>A program uses the API with a key, limited to a role and to a time. Keys are stored as hashes and shown once.</p>
        </Empty>
      )}
      {data && shown.length > 0 && (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Role</th>
              <th scope="col" className="wide-2">
                Id
              </th>
              <th scope="col" className="wide-1">
                Last used
              </th>
              <th scope="col">Runs out</th>
              <th scope="col">
                <span className="sr-only">Acts</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((key) => (
              <tr key={key.id}>
                <th scope="row">{key.name}</th>
                <td>{key.role}</td>
                <td className="mono wide-2">{key.id}</td>
                <td className="wide-1">{key.last_used_at ? <Ago at={key.last_used_at} /> : <span className="faint">never</span>}</td>
                <td>
                  {key.revoked_at ? (
                    <span className="faint">
                      deleted <Ago at={key.revoked_at} />
                    </span>
                  ) : (
                    <Expiry at={key.expires_at} />
                  )}
                </td>
                <td className="right">
                  {!key.revoked_at && <Button tone="quiet" icon="cross" whyNot={whyNot} aria-label={`Delete ${key.name}`} title="Delete" onClick={() => setRemoving(key)} />}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {creating && (
        <NewKeyDialog
          onClose={() => setCreating(false)}
          onCreated={(key) => {
            setCreated(key);
            setCreating(false);
            void client.invalidateQueries({ queryKey: ["apikeys"] });
          }}
        />
      )}
      {created && !creating && (
        <SecretDialog title={`Key of ${created.name}`} secret={created.key} onClose={() => setCreated(undefined)}>
          Send it as <code>Authorization: Bearer KEY</code>.
        </SecretDialog>
      )}
      {removing && (
        <ActDialog
          danger
          title={`Delete ${removing.name}`}
          verb="Delete key"
          effect={
            <p>
              <b>Programs that use it are refused from now on.</b> The key cannot be brought back.
            </p>
          }
          command={cli.keyRevoke(removing.id)}
          act={async () => {
            await del(`/apikeys${at(removing.id)}`);
            void client.invalidateQueries({ queryKey: ["apikeys"] });
            say(`${removing.name} is deleted.`);
          }}
          onClose={() => setRemoving(undefined)}
        />
      )}
    </Panel>
  );
}

function NewKeyDialog({ onClose, onCreated }: { onClose: () => void; onCreated: (key: NewApiKey) => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<string>("read-only");
  const [expires, setExpires] = useState("90d");
  const badExpiry = !DURATION.test(expires);
  return (
    <ActDialog
      title="New API key"
      verb="Create key"
      effect={<p>The key is shown once, after it is made. Give it the smallest role that does.</p>}
      command={cli.keyCreate(name.trim() || "NAME", role, badExpiry ? "90d" : expires)}
      ready={name.trim() !== "" && !badExpiry}
      act={() => post<NewApiKey>("/apikeys", { name: name.trim(), role, expires })}
      onDone={onCreated}
      onClose={onClose}
    >
      <TextField label="Name" hint="What uses it, such as nightly-export." value={name} onChange={(event) => setName(event.target.value)} data-autofocus required maxLength={63} />
      <SelectField label="Role" value={role} onChange={(event) => setRole(event.target.value)}>
        {ROLES.map(([id, word]) => (
          <option key={id} value={id}>
            {word}
          </option>
        ))}
      </SelectField>
      <TextField label="Runs out after" mono hint="30d, 90d or 365d" error={badExpiry ? "Write a number and s, m, h or d." : undefined} value={expires} onChange={(event) => setExpires(event.target.value.trim())} required />
    </ActDialog>
  );
}

function LinkDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<string>("administrator");
  const [made, setMade] = useState<SignInLink>();
  const client = useQueryClient();
  if (made) {
    return (
      <SecretDialog title="Sign-in link" secret={made.link} onClose={onClose}>
        It works once, and runs out <Ago at={made.expires_at} />.
      </SecretDialog>
    );
  }
  return (
    <ActDialog
      title="Sign-in link"
      verb="Make link"
      effect={
        <p>
          <b>Whoever opens it first is signed in as this user.</b> Send it by a way only that person can read.
        </p>
      }
      command={cli.link(name.trim() || undefined, role)}
      act={async () => {
        const link = await post<SignInLink>("/users/link", { role, ...(name.trim() && { name: name.trim() }) });
        void client.invalidateQueries({ queryKey: ["users"] });
        return link;
      }}
      onDone={setMade}
      onClose={onClose}
    >
      <TextField label="For whom" optional hint="A name known already gets a new link; a new one makes a user. Empty: administrator." value={name} onChange={(event) => setName(event.target.value)} data-autofocus maxLength={100} />
      <SelectField label="Role" hint="Counts for somebody new; who is known keeps theirs." value={role} onChange={(event) => setRole(event.target.value)}>
        {ROLES.map(([id, word]) => (
          <option key={id} value={id}>
            {word}
          </option>
        ))}
      </SelectField>
    </ActDialog>
  );
}

function Users() {
  const { data, error } = useQuery(users());
  if (error) {
    return (
      <Panel title="Users">
        <ProblemNote error={error} />
      </Panel>
    );
  }
  return (
    <Panel title="Users" flush>
      {!data && <Skeleton lines={2} />}
      {data && (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Role</th>
              <th scope="col" className="wide-2">
                Id
              </th>
              <th scope="col">Since</th>
            </tr>
          </thead>
          <tbody>
            {data.items.map((user) => (
              <tr key={user.id}>
                <th scope="row">{user.name}</th>
                <td>{user.role}</td>
                <td className="mono wide-2">{user.id}</td>
                <td>
                  <Ago at={user.created_at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

function Sessions() {
  const { data, error } = useQuery(sessions());
  const [ending, setEnding] = useState<Session>();
  const client = useQueryClient();
  return (
    <Panel title="Sessions" flush>
      {error && <ProblemNote error={error} />}
      {!data && !error && <Skeleton lines={2} />}
      {data && (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Who</th>
              <th scope="col" className="wide-1">
                From
              </th>
              <th scope="col">Started</th>
              <th scope="col" className="wide-1">
                Last seen
              </th>
              <th scope="col">
                <span className="sr-only">Acts</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {data.items.map((session) => (
              <tr key={session.id}>
                <th scope="row">
                  {session.user.name} {session.current && <span className="tag">this browser</span>}
                </th>
                <td className="mono wide-1">{session.address}</td>
                <td>
                  <Ago at={session.created_at} />
                </td>
                <td className="wide-1">
                  <Ago at={session.last_seen_at} />
                </td>
                <td className="right">
                  <Button tone="quiet" icon="exit" aria-label={`End session of ${session.user.name} from ${session.address}`} title="End session" onClick={() => setEnding(session)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {ending && (
        <ActDialog
          danger
          title="End session"
          verb="End session"
          effect={
            <p>
              <b>That browser is signed out at once</b>
              {ending.current ? ", and it is this one." : ". If it is this one, a new link brings you back."}
            </p>
          }
          act={async () => {
            await del(`/sessions${at(ending.id)}`);
            void client.invalidateQueries({ queryKey: ["sessions"] });
            void client.invalidateQueries({ queryKey: ["me"] }); // it may have been ours
            say("The session is ended.");
          }}
          onClose={() => setEnding(undefined)}
        />
      )}
    </Panel>
  );
}
