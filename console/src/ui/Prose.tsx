import { Fragment } from "react";
import { Reference } from "./Reference";
import { Moment } from "./Time";

const PART = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|\b[0-9a-f]{16,64}\b|\buser\/usr_[a-z2-7]+\b)/;

/** A sentence of the platform's, its instants in local time, its long numbers and its users set as such. */
export function Prose({ text }: { text: string }) {
  return text.split(PART).map((part, i) => {
    if (i % 2 === 0) return <Fragment key={i}>{part}</Fragment>;
    if (part.startsWith("user/")) return <Reference key={i} to={part} />;
    if (part.endsWith("Z")) return <Moment key={i} at={part} />;
    return (
      <span key={i} className="mono" title={part}>
        {part.length > 16 ? `${part.slice(0, 12)}…` : part}
      </span>
    );
  });
}

/** With its first letter as a sentence has it. */
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
