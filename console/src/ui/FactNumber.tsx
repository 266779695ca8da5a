import { Link } from "@tanstack/react-router";

/** A fact's number in the chain; leads to the fact, on the device's timeline where there is one. */
export function FactNumber({ seq, device }: { seq: number; device?: string | undefined }) {
  const text = (
    <>
      <span className="sr-only">Fact </span>#{seq}
    </>
  );
  return device ? (
    <Link to="/devices/$id" params={{ id: device }} hash={`fact-${seq}`} className="fact-no">
      {text}
    </Link>
  ) : (
    <Link to="/log" search={{ at: String(seq) }} className="fact-no">
      {text}
    </Link>
  );
}
