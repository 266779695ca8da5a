import { type ComponentProps, type ReactNode, useId } from "react";
import { Icon } from "./Icon";

interface Shared {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  optional?: boolean;
}

function useWords({ label, hint, error, optional }: Shared) {
  const id = useId();
  const described = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return {
    id,
    aria: { "aria-describedby": described || undefined, "aria-invalid": error ? true : undefined },
    head: (
      <label htmlFor={id}>
        {label}
        {optional && <span className="faint"> optional</span>}
      </label>
    ),
    foot: (
      <>
        {hint && (
          <p className="hint" id={`${id}-hint`}>
            {hint}
          </p>
        )}
        {error && (
          <p className="field-error" id={`${id}-error`}>
            <Icon name="warning" size={14} /> {error}
          </p>
        )}
      </>
    ),
  };
}

export function TextField({ label, hint, error, optional, mono, ...rest }: Shared & { mono?: boolean } & ComponentProps<"input">) {
  const { id, aria, head, foot } = useWords({ label, hint, error, ...(optional && { optional }) });
  return (
    <div className="field">
      {head}
      <input {...rest} {...aria} id={id} className={mono ? "input mono" : "input"} autoComplete="off" spellCheck={!mono} />
      {foot}
    </div>
  );
}

export function TextArea({ label, hint, error, optional, mono, ...rest }: Shared & { mono?: boolean } & ComponentProps<"textarea">) {
  const { id, aria, head, foot } = useWords({ label, hint, error, ...(optional && { optional }) });
  return (
    <div className="field">
      {head}
      <textarea {...rest} {...aria} id={id} className={mono ? "input mono" : "input"} spellCheck={!mono} />
      {foot}
    </div>
  );
}

export function SelectField({ label, hint, error, children, ...rest }: Shared & ComponentProps<"select">) {
  const { id, aria, head, foot } = useWords({ label, hint, error });
  return (
    <div className="field">
      {head}
      <span className="select">
        <select {...rest} {...aria} id={id} className="input">
          {children}
        </select>
        <Icon name="down" />
      </span>
      {foot}
    </div>
  );
}

/** A filter: its name inside the frame, its value beside it. */
export function FilterSelect({ label, value, onChange, children }: { label: string; value: string; onChange: (value: string) => void; children: ReactNode }) {
  const id = useId();
  return (
    <span className={`filter ${value ? "is-set" : ""}`}>
      <label htmlFor={id}>{label}</label>
      <span className="select">
        <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
          <option value="">any</option>
          {children}
        </select>
        <Icon name="down" size={12} />
      </span>
    </span>
  );
}
