from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ironroot.app.supervisor.spec import Backoff, ChildSpec
from ironroot.app.supervisor.supervisor import Supervisor

CHILD = Path(__file__).with_name("fake_child.py")


def action(*words: object) -> str:
    return "\t".join(str(word) for word in words)


def fake(*actions: str) -> tuple[str, ...]:
    return (sys.executable, str(CHILD), *actions)


READY = action("tell", "ready")
STAY = action("stay")
QUICK = Backoff(first_s=0.02, most_s=0.1)


def spec(name: str, *actions: str, **fields: object) -> ChildSpec:
    values = {"backoff": QUICK, "stop_timeout_s": 5.0, "ready_timeout_s": 10.0, **fields}
    return ChildSpec(name, name, fake(*actions), **values)  # type: ignore[arg-type]  # a test's shorthand


@dataclass
class Screen:
    """A display that remembers."""

    events: list[tuple[str, str, str]] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)

    def state(self, name: str, state: str, text: str = "") -> None:
        self.events.append((name, state, text))

    def say(self, text: str, kind: str = "") -> None:
        self.said.append((kind, text))

    def settle(self) -> None:
        pass

    def states(self, name: str) -> list[str]:
        return [state for who, state, _ in self.events if who == name]

    def order(self, state: str) -> list[str]:
        return [who for who, is_, _ in self.events if is_ == state]


@dataclass
class World:
    """Supervisors in this process, all stopped at the end of the test."""

    logs: Path
    screen: Screen = field(default_factory=Screen)
    made: list[Supervisor] = field(default_factory=list)

    def supervisor(self, *specs: ChildSpec) -> Supervisor:
        made = Supervisor(specs, self.logs, self.screen)
        self.made.append(made)
        return made

    async def up(self, *specs: ChildSpec) -> Supervisor:
        made = self.supervisor(*specs)
        await made.start()
        return made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    for supervisor in made.made:
        hurry = asyncio.Event()
        hurry.set()
        await supervisor.stop(hurry)


async def until(holds: Callable[[], object], limit_s: float = 10.0) -> None:
    async with asyncio.timeout(limit_s):
        while not holds():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def lines(path: Path) -> Sequence[str]:
    return path.read_text().splitlines() if path.exists() else []
