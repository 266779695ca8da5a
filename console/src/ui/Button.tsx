import type { ComponentProps, ReactNode } from "react";
import { useId } from "react";
import { Icon, type IconName } from "./Icon";

interface Props extends Omit<ComponentProps<"button">, "type"> {
  tone?: "plain" | "primary" | "danger" | "quiet";
  icon?: IconName;
  type?: "button" | "submit";
  busy?: boolean;
  /** Why this may not be done. The button stays reachable, so that a keyboard or a screen reader finds the reason. */
  whyNot?: string | undefined;
  children?: ReactNode;
}

export function Button({ tone = "plain", icon, busy = false, whyNot, children, onClick, className = "", type = "button", ...rest }: Props) {
  const reasonId = useId();
  const off = busy || whyNot !== undefined;
  return (
    <>
      <button
        {...rest}
        type={type}
        className={`button ${tone} ${children ? "" : "icon-only"} ${className}`}
        aria-disabled={off || undefined}
        aria-busy={busy || undefined}
        aria-describedby={whyNot === undefined ? rest["aria-describedby"] : reasonId}
        title={whyNot ?? rest.title}
        onClick={off ? (event) => event.preventDefault() : onClick}
      >
        {icon && <Icon name={icon} />}
        {children}
      </button>
      {whyNot !== undefined && (
        <span id={reasonId} className="sr-only">
          {whyNot}
        </span>
      )}
    </>
  );
}
