import { clock, fullTime, localTime, relative } from "../format";
import { useNow } from "../live/now";

/** An instant as people say it; its title has local time and UTC. */
export function Ago({ at }: { at: string }) {
  const now = useNow();
  const date = new Date(at);
  return (
    <time dateTime={at} title={fullTime(date)} className="time">
      {relative(date, now)}
    </time>
  );
}

/** The time of day, where the day stands above; its title has all of it. */
export function Clock({ at }: { at: string }) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={fullTime(date)} className="time num">
      {clock(date)}
    </time>
  );
}

/** An instant to the second, in local time; its title has UTC. */
export function Moment({ at }: { at: string }) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={fullTime(date)} className="time num">
      {localTime(date)}
    </time>
  );
}
