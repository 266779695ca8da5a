import { TRUST_STATES, type ByTrust, type TrustState } from "../api/types";
import { count } from "../format";
import { TRUST } from "../words";
import { Icon } from "./Icon";

/** A trust state: shape, word and colour, never colour alone. */
export function Trust({ state, large = false }: { state: TrustState; large?: boolean }) {
  const known = TRUST[state] ? state : "unknown";
  return (
    <span className={`trust ${known} ${large ? "large" : ""}`} title={TRUST[known].effect}>
      <Icon name={known} size={large ? 22 : 16} />
      {TRUST[known].word}
    </span>
  );
}

/** How a fleet divides over the trust states: a bar, and the same in words that are links. */
export function TrustBar({ byTrust, link }: { byTrust: ByTrust; link: (state: TrustState, children: React.ReactNode) => React.ReactNode }) {
  const total = TRUST_STATES.reduce((sum, state) => sum + (byTrust[state] ?? 0), 0);
  const shown = TRUST_STATES.filter((state) => (byTrust[state] ?? 0) > 0);
  return (
    <div className="trustbar">
      <div className="segments" aria-hidden="true">
        {total === 0 && <span className="segment none" />}
        {shown.map((state) => (
          <span key={state} className={`segment ${state}`} style={{ flexGrow: byTrust[state] ?? 0 }} />
        ))}
      </div>
      <ul className="legend" aria-label="Devices by trust state">
        {TRUST_STATES.map((state) => (
          <li key={state} className={byTrust[state] ? "" : "is-zero"}>
            {link(
              state,
              <>
                <Trust state={state} /> <b className="num">{count(byTrust[state] ?? 0)}</b>
              </>,
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}
