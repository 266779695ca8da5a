// Facts as a list that reads like a sentence per line; a line opens to show the fact as it was recorded.

import { Fragment, useState } from "react";
import type { Fact } from "../api/types";
import { localDate, weekday } from "../format";
import { familyOf, kindWord, summary } from "../words";
import { CopyButton } from "./Copy";
import { Icon } from "./Icon";
import { Prose } from "./Prose";
import { Reference } from "./Reference";
import { Clock } from "./Time";

interface Props {
  facts: Fact[];
  /** The fact to open and mark. */
  marked?: number | undefined;
  /** On a device's own timeline its name need not be said on each line. */
  withSubject?: boolean;
  label: string;
}

export function Facts({ facts, marked, withSubject = false, label }: Props) {
  return (
    <ol className={`facts ${withSubject ? "with-subject" : ""}`} aria-label={label}>
      {facts.map((fact, i) => {
        const day = localDate(new Date(fact.at));
        const before = facts[i - 1];
        return (
          <Fragment key={fact.seq}>
            {(before === undefined || localDate(new Date(before.at)) !== day) && (
              <li className="day">
                <span className="num">{day}</span> {weekday(new Date(fact.at))}
              </li>
            )}
            <FactLine fact={fact} withSubject={withSubject} marked={fact.seq === marked} />
          </Fragment>
        );
      })}
    </ol>
  );
}

function FactLine({ fact, withSubject, marked }: { fact: Fact; withSubject: boolean; marked: boolean }) {
  const [toggled, setToggled] = useState(false);
  const open = toggled !== marked;
  const words = summary(fact);
  return (
    <li id={`fact-${fact.seq}`} className={`fact family-${familyOf(fact.kind)} ${marked ? "is-marked" : ""}`}>
      <div className="fact-line">
        <button type="button" className="fact-open" aria-expanded={open} aria-label={`Fact ${fact.seq}, ${kindWord(fact.kind)}: details`} onClick={() => setToggled(!toggled)}>
          <Icon name="right" size={12} className="turn" />
          <span className="fact-no">#{fact.seq}</span>
        </button>
        <Clock at={fact.at} />
        <span className="fact-kind" title={fact.kind}>
          {kindWord(fact.kind)}
        </span>
        {withSubject && (
          <span className="fact-subject">
            <Reference to={fact.subject} />
          </span>
        )}
        <span className="fact-words" title={words}>
          <Prose text={words} />
        </span>
        <span className="fact-actor">
          <span className="sr-only">by </span>
          <Reference to={fact.actor} />
        </span>
      </div>
      {open && <FactDetail fact={fact} />}
    </li>
  );
}

function FactDetail({ fact }: { fact: Fact }) {
  const body = "personal" in fact.body ? { ...fact.body, personal: "(encrypted under this person's own key)" } : fact.body;
  const text = JSON.stringify(body, null, 2);
  return (
    <div className="fact-detail">
      <dl className="pairs">
        <div>
          <dt>kind</dt>
          <dd className="mono">{fact.kind}</dd>
        </div>
        <div>
          <dt>id</dt>
          <dd className="mono">{fact.id}</dd>
        </div>
        <div>
          <dt>subject</dt>
          <dd className="mono">{fact.subject}</dd>
        </div>
        <div>
          <dt>actor</dt>
          <dd className="mono">{fact.actor}</dd>
        </div>
      </dl>
      <div className="code-block">
        <pre tabIndex={0} role="region" aria-label="Body as recorded">
          {text}
        </pre>
        <CopyButton text={JSON.stringify(fact)} label="Copy fact as JSON" />
      </div>
    </div>
  );
}
