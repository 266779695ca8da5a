"""What a person sees of `ironroot up`: what starts, what is ready after how long, and then where to go.

A block of lines that is redrawn on a terminal; one plain line per event elsewhere (a journal, a pipe). Carries no
secret but the one-time link, which is for the person at the terminal.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TextIO

BOLD, DIM, GREEN, YELLOW, RED, RESET = "\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m", "\033[0m"
_COLOURS = {"starting": YELLOW, "ready": GREEN, "failed": RED, "stopped": DIM, "waiting": DIM}
_SYMBOLS = {"starting": "…", "ready": "✓", "failed": "✗", "stopped": "·", "waiting": "·"}


class Display(Protocol):
    """How the supervisor shows what happens."""

    def state(self, name: str, state: str, text: str = "") -> None:
        """A child is `waiting`, `starting`, `ready`, `failed` or `stopped`."""
        ...

    def say(self, text: str, kind: str = "") -> None:
        """A sentence; `kind` is empty, `warning` or `error`."""
        ...

    def settle(self) -> None:
        """The block above is done; what follows comes below it."""
        ...


@dataclass(slots=True)
class _Row:
    title: str
    state: str = "waiting"
    text: str = ""


class PlainDisplay:
    """One line per event."""

    def __init__(self, out: TextIO, titles: dict[str, str]) -> None:
        self._out = out
        self._titles = titles

    def state(self, name: str, state: str, text: str = "") -> None:
        """Print the event; waiting is none."""
        if state != "waiting":
            self._print(f"{self._titles.get(name, name)}: {state}{f' {text}' if text else ''}")

    def say(self, text: str, kind: str = "") -> None:
        """Print the sentence."""
        self._print(f"{kind}: {text}" if kind else text)

    def settle(self) -> None:
        """Nothing to settle."""

    def _print(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except (OSError, ValueError):
            return  # nobody listens any more: no reason to stop


class TerminalDisplay:
    """A block with a row per child, redrawn in place until it is settled."""

    def __init__(self, out: TextIO, titles: dict[str, str]) -> None:
        self._out = out
        self._rows = {name: _Row(title) for name, title in titles.items()}
        self._width = max((len(title) for title in titles.values()), default=0)
        self._drawn = 0
        self._live = True

    def state(self, name: str, state: str, text: str = "") -> None:
        """Redraw the block, or print a line once it is settled."""
        row = self._rows.setdefault(name, _Row(name))
        row.state, row.text = state, text
        if self._live:
            self._draw()
        elif state != "waiting":
            self._write(self._line(row) + "\n")

    def say(self, text: str, kind: str = "") -> None:
        """Print above the block."""
        colour = {"warning": YELLOW, "error": RED}.get(kind, "")
        line = f"{colour}{f'{kind}: ' if kind else ''}{text}{RESET if colour else ''}\n"
        if self._live and self._drawn:
            self._write(f"\033[{self._drawn}A\033[J{line}")
            self._drawn = 0
            self._draw()
        else:
            self._write(line)

    def settle(self) -> None:
        """Leave the block as it stands."""
        self._live = False

    def _draw(self) -> None:
        up = f"\033[{self._drawn}A" if self._drawn else ""
        lines = [f"\033[2K{self._line(row)}\n" for row in self._rows.values()]
        self._drawn = len(lines)
        self._write(up + "".join(lines))

    def _line(self, row: _Row) -> str:
        colour = _COLOURS.get(row.state, "")
        symbol = _SYMBOLS.get(row.state, "·")
        text = f"{row.state} {row.text}".strip()
        room = shutil.get_terminal_size().columns - self._width - 8  # a wrapped line would not be redrawn
        return f"  {colour}{symbol}{RESET} {row.title:<{self._width}}  {DIM}{text[: max(room, 8)]}{RESET}"

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            return


def display(out: TextIO, titles: dict[str, str]) -> Display:
    """The display that suits `out`."""
    return TerminalDisplay(out, titles) if out.isatty() else PlainDisplay(out, titles)


def summary(show: Display, addresses: Sequence[tuple[str, str]], link: str | None, hints: Sequence[str]) -> None:
    """Where to go now: the addresses, the one-time link, what to try next."""
    show.settle()
    show.say("")
    width = max(len(name) for name, _ in addresses)
    for name, address in addresses:
        show.say(f"  {name:<{width}}  {address}")
    if link:
        show.say("")
        show.say("  Sign in as the first administrator (this link works once):")
        show.say(f"  {link}")
    show.say("")
    for hint in hints:
        show.say(f"  {hint}")
