// A time series with its table twin. The plotting library comes in its own file, after the page stands.

import { lazy, Suspense, useState } from "react";
import { localTime } from "../format";
import { Button } from "./Button";

export interface Series {
  name: string;
  /** A colour token, such as `--accent`. */
  colour: string;
  points: { at: string; value: number; low?: number; high?: number }[];
  format: (value: number) => string;
  /** For counts: the scale starts at nothing. */
  fromZero?: boolean;
}

const Plot = lazy(() => import("./Plot"));

export function Chart({ title, series, height = 184 }: { title: string; series: Series; height?: number }) {
  const [table, setTable] = useState(false);
  return (
    <figure className="chart">
      <figcaption className="sr-only">{title}</figcaption>
      <div className="chart-tools">
        <Button tone="quiet" icon={table ? "chart" : "table"} aria-label={table ? `${title}: show chart` : `${title}: show table`} title={table ? "Chart" : "Table"} onClick={() => setTable(!table)} />
      </div>
      {table ? (
        <div className="chart-table" style={{ blockSize: height }} tabIndex={0} role="region" aria-label={`${title}, table`}>
          <table className="table tight">
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col" className="right">
                  {series.name}
                </th>
              </tr>
            </thead>
            <tbody>
              {series.points.toReversed().map((point) => (
                <tr key={point.at}>
                  <td className="num">{localTime(new Date(point.at))}</td>
                  <td className="num right">{series.format(point.value)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <div className="chart-plot" style={{ blockSize: height }} role="img" aria-label={described(title, series)}>
          <Suspense fallback={null}>
            <Plot series={series} height={height} />
          </Suspense>
        </div>
      )}
    </figure>
  );
}

function described(title: string, { points, format }: Series): string {
  const values = points.map((point) => point.value);
  const newest = values.at(-1);
  if (newest === undefined) return `${title}: nothing yet`;
  return `${title}: now ${format(newest)}, lowest ${format(Math.min(...values))}, highest ${format(Math.max(...values))}. The table button shows every value.`;
}
