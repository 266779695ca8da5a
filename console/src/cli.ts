// Every act of this console as the command that does the same. The one file to change when a command changes.

/** A word as a POSIX shell reads it. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

type Option = [flag: string, value: string | undefined];

function command(words: (string | undefined)[], options: Option[] = []): string {
  const flags = options.flatMap(([flag, value]) => (value ? [flag, quote(value)] : []));
  return ["ironroot", ...words.filter((word) => word !== undefined).map(quote), ...flags].join(" ");
}

/** The device door is the port after the console's. */
const DEVICE_DOOR = `https://${location.hostname}:${Number(location.port || 443) + 1}`;

export const cli = {
  claim: (device: string, expires?: string, type?: string) =>
    command(["claim", "create"], [["--device", device], ["--type", type], ["--expires", expires]]),
  enrol: (device: string) => command(["agent", "enrol"], [["--server", DEVICE_DOOR], ["--device", device], ["--claim", "CLAIM"]]),
  quarantine: (device: string, reason: string, expires?: string) =>
    command(["device", "quarantine", device], [["--reason", reason], ["--expires", expires]]),
  release: (device: string, reason: string) => command(["device", "release", device], [["--reason", reason]]),
  revoke: (device: string, reason: string, comment?: string) =>
    command(["device", "revoke", device], [["--reason", reason], ["--comment", comment]]),
  config: (device: string, config: string) => command(["device", "config", device, config]),
  send: (device: string, name: string, args?: string, expires?: string) =>
    command(["device", "command", device, name], [["--args", args], ["--expires", expires]]),
  retire: (device: string, reason: string) => command(["device", "retire", device], [["--reason", reason]]),
  list: ({ q, trust, type, group, connected }: Partial<Record<"q" | "trust" | "type" | "group" | "connected", string | undefined>>) =>
    command(
      ["device", "list", connected === "yes" ? "--connected" : connected === "no" ? "--offline" : undefined],
      [["--search", q], ["--trust", trust], ["--type", type], ["--group", group]],
    ),
  keyCreate: (name: string, role: string, expires: string) =>
    command(["apikey", "create"], [["--name", name], ["--role", role], ["--expires", expires]]),
  keyRevoke: (id: string) => command(["apikey", "revoke", id]),
  link: (name?: string, role?: string) => command(["user", "link"], [["--name", name], ["--role", role]]),
  exportLog: () => "ironroot audit export --out facts.ndjson",
  verifyLog: () => "ironroot audit verify facts.ndjson",
};
