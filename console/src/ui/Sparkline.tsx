/** The course of a value in a word's space. The numbers stand beside it and in the table it leads to. */
export function Sparkline({ values, label, width = 96, height = 22 }: { values: readonly number[]; label: string; width?: number; height?: number }) {
  if (values.length < 2) return <span className="spark" style={{ inlineSize: width, blockSize: height }} aria-hidden="true" />;
  const low = Math.min(...values);
  const high = Math.max(...values);
  const x = (i: number) => 1 + (i / (values.length - 1)) * (width - 4);
  const y = (value: number) => (high === low ? height / 2 : 2 + (1 - (value - low) / (high - low)) * (height - 4));
  const path = values.map((value, i) => `${i === 0 ? "M" : "L"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  return (
    <svg className="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <path d={path} />
      <circle cx={x(values.length - 1)} cy={y(values.at(-1) ?? 0)} r="1.8" />
    </svg>
  );
}
