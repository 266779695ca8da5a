import { usePrefs } from "../prefs";
import { Dialog } from "../ui/Dialog";
import { AREAS } from "./areas";

const KEYS: [string[], string][] = [
  [["Ctrl", "K"], "go to a page or device, or do something"],
  ...AREAS.map((area): [string[], string] => [["g", area.key], area.word]),
  [["/"], "search in a list"],
  [["j"], "next row"],
  [["k"], "row before"],
  [["Enter"], "open the row"],
  [["["], "page before"],
  [["]"], "next page"],
  [["?"], "this list"],
  [["Esc"], "close"],
];

export default function Shortcuts({ onClose }: { onClose: () => void }) {
  const { keys } = usePrefs();
  return (
    <Dialog title="Keyboard" onClose={onClose} className="narrow">
      {keys === "off" && <p className="hint">Single-key shortcuts are switched off; the account panel switches them on.</p>}
      <dl className="shortcuts">
        {KEYS.map(([parts, word]) => (
          <div key={word}>
            <dt>
              {parts.map((part) => (
                <kbd key={part}>{part}</kbd>
              ))}
            </dt>
            <dd>{word}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
