import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { me, users } from "../api/queries";
import { useAllowed } from "../permissions";
import { nounOf } from "../words";

/** `device/meter-1` as a link, a user by name where that may be known, other references as they are. */
export function Reference({ to }: { to: string }) {
  const { kind, id } = nounOf(to);
  const name = useUserName(kind === "user" ? id : undefined);
  if (kind === "device" && id) {
    return (
      <Link to="/devices/$id" params={{ id }} className="mono">
        {id}
      </Link>
    );
  }
  if (name !== undefined) return <span title={to}>{name}</span>;
  return (
    <span className="mono reference" title={to}>
      {id ? (
        <>
          <span className="faint">{kind}/</span>
          {id}
        </>
      ) : (
        kind
      )}
    </span>
  );
}

/** Facts hold ids only; names are personal and can be erased. */
function useUserName(id: string | undefined): string | undefined {
  const { data: who } = useQuery(me());
  const allowed = useAllowed("user.manage");
  const { data } = useQuery({ ...users(), enabled: allowed && id !== undefined });
  if (id === undefined) return undefined;
  if (who?.kind === "user" && who.id === id) return who.name;
  return data?.items.find((user) => user.id === id)?.name;
}
