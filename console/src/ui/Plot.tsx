import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { hourMinute, localTime } from "../format";
import { useResolvedTheme } from "../prefs";
import type { Series } from "./Chart";

/** Draws one series; follows its element's width and the theme. */
export default function Plot({ series, height }: { series: Series; height: number }) {
  const at = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const shown = useRef(series);
  const theme = useResolvedTheme();

  useEffect(() => {
    const element = at.current;
    if (!element) return;
    const style = getComputedStyle(document.documentElement);
    const token = (name: string) => style.getPropertyValue(name).trim();
    const line = token(series.colour);
    const font = `11px ${token("--mono")}`;
    const axis = {
      stroke: token("--text-3"),
      font,
      grid: { stroke: token("--line"), width: 1 },
      ticks: { stroke: token("--line-2"), width: 1, size: 4 },
    };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        padding: [24, 20, 0, 0], // the last hour's label is as wide as it is
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        scales: { y: { range: (_u, low, high) => range(low, high, shown.current.fromZero ?? false) } },
        axes: [
          { ...axis, space: 64, size: 26, values: (_u, splits) => splits.map((s) => hourMinute(new Date(s * 1000))) },
          { ...axis, space: 32, size: (_u, values) => 14 + 7 * Math.max(2, ...(values ?? []).map((v) => v.length)), values: (_u, splits) => splits.map((s) => shown.current.format(s)) },
        ],
        series: [{}, { stroke: line, width: 1.5, fill: `color-mix(in srgb, ${line} 10%, transparent)`, points: { show: false } }],
        hooks: {
          setCursor: [
            (u) => {
              const i = u.cursor.idx;
              const point = typeof i === "number" ? shown.current.points[i] : undefined;
              if (readout.current) readout.current.textContent = point ? `${localTime(new Date(point.at)).slice(11)}  ${shown.current.format(point.value)}` : "";
            },
          ],
        },
      },
      columns(shown.current),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme, height, series.colour]);

  useEffect(() => {
    shown.current = series;
    plot.current?.setData(columns(series));
  }, [series]);

  return (
    <>
      <div ref={at} className="plot" />
      <div ref={readout} className="plot-readout num" />
    </>
  );
}

function columns({ points }: Series): uPlot.AlignedData {
  return [points.map((point) => Date.parse(point.at) / 1000), points.map((point) => point.value)];
}

function range(low: number | null, high: number | null, fromZero: boolean): [number, number] {
  if (low === null || high === null) return [0, 1];
  if (fromZero) return [0, Math.max(4, high * 1.15)];
  const room = (high - low || Math.abs(high) || 1) * 0.15;
  return [low - room, high + room];
}
