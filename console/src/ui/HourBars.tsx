// Security facts by hour and family: bars, and a table with the same numbers.

import { useState } from "react";
import { count, hourMinute, localTime } from "../format";
import { FAMILIES, type Family, familyOf } from "../words";
import { Button } from "./Button";

type Hour = { at: string; kinds: Record<string, number> };

export function HourBars({ title, hours }: { title: string; hours: Hour[] }) {
  const [table, setTable] = useState(false);
  const rows = hours.map((hour) => ({ at: new Date(hour.at), sums: sums(hour) }));
  const totals = rows.map((row) => FAMILIES.reduce((sum, { id }) => sum + row.sums[id], 0));
  const highest = Math.max(1, ...totals);
  const all = FAMILIES.map((family) => ({ ...family, n: rows.reduce((sum, row) => sum + row.sums[family.id], 0) }));
  return (
    <figure className="chart">
      <figcaption className="sr-only">{title}</figcaption>
      <div className="chart-tools">
        <Button tone="quiet" icon={table ? "chart" : "table"} aria-label={table ? `${title}: show chart` : `${title}: show table`} title={table ? "Chart" : "Table"} onClick={() => setTable(!table)} />
      </div>
      {table ? (
        <div className="chart-table hours-table" tabIndex={0} role="region" aria-label={`${title}, table`}>
          <table className="table tight">
            <thead>
              <tr>
                <th scope="col">Hour</th>
                {FAMILIES.map(({ id, word }) => (
                  <th key={id} scope="col" className="right">
                    {word}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.toReversed().map((row) => (
                <tr key={row.at.getTime()}>
                  <td className="num">{localTime(row.at).slice(0, 16)}</td>
                  {FAMILIES.map(({ id }) => (
                    <td key={id} className="num right">
                      {row.sums[id] || <span className="faint">0</span>}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <div className="hours" role="img" aria-label={`${title}: ${all.map(({ word, n }) => `${word} ${count(n)}`).join(", ")}. The table button shows every hour.`}>
          <span className="hours-top num">{count(highest)}</span>
          <div className="hours-bars">
            {rows.map((row, i) => (
              <div key={row.at.getTime()} className="hour" title={tip(row)}>
                {FAMILIES.map(({ id }) => row.sums[id] > 0 && <span key={id} className={`bar family-${id}`} style={{ blockSize: `${(row.sums[id] / highest) * 100}%` }} />)}
                {i % 6 === 0 && <span className="hour-label num">{hourMinute(row.at)}</span>}
              </div>
            ))}
          </div>
        </div>
      )}
      <ul className="legend families" aria-label="Families of facts, last 24 hours">
        {all.map(({ id, word, n }) => (
          <li key={id} className={n === 0 ? "is-zero" : ""}>
            <span className={`swatch family-${id}`} aria-hidden="true" /> {word} <b className="num">{count(n)}</b>
          </li>
        ))}
      </ul>
    </figure>
  );
}

function sums(hour: Hour): Record<Family, number> {
  const result: Record<Family, number> = { refused: 0, trust: 0, identity: 0, people: 0 };
  for (const [kind, n] of Object.entries(hour.kinds)) result[familyOf(kind)] += n;
  return result;
}

function tip(row: { at: Date; sums: Record<Family, number> }): string {
  const parts = FAMILIES.filter(({ id }) => row.sums[id] > 0).map(({ id, word }) => `${word}: ${count(row.sums[id])}`);
  return [`${hourMinute(row.at)} to ${hourMinute(new Date(row.at.getTime() + 3_600_000))}`, ...(parts.length > 0 ? parts : ["nothing"])].join("\n");
}
