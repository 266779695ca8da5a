"""The agent as a device runs it: from its start to connected, and what it holds in memory then.

Against a Python interpreter that imports nothing, and one with TLS and the MQTT library alone: what is ours is the
difference.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.support import fleet as fleets
from bench.support.figures import Bench, number, spread
from bench.support.platform import IRONROOT, up
from bench.support.processes import Memory, memory, running, wait_for

IDLE_S = 5.0
PEERS = {
    "a Python interpreter": "import time; time.sleep(60)",
    "with ssl and paho-mqtt": "import ssl, time, paho.mqtt.client; ssl.create_default_context(); time.sleep(60)",
}


def agent(bench: Bench) -> None:
    """Measure it."""
    fleet = fleets.shared(bench)
    took: list[float] = []
    held: list[Memory] = []
    with up(fleet.copy(bench.scratch / "agent")) as platform:
        state = bench.scratch / "agent-state"
        _enrol(platform.cli("claim", "create", "--device", "agent-1")["claim"], platform.devices_port, fleet, state)
        for turn in range(bench.pick(5, 1)):
            output = bench.scratch / f"agent-{turn}.out"
            began = time.monotonic()
            with running([str(IRONROOT), "agent", "run", "--state", str(state)], output) as process:
                wait_for(partial(_connected, output), "the agent is connected", 20, every_s=0.002)
                took.append(time.monotonic() - began)
                time.sleep(IDLE_S)
                held.append(memory(process.pid))
            bench.say(f"connected after {took[-1]:.2f} s, {held[-1].rss:.1f} MB")
    others = _interpreters(bench)
    rows = [["agent, connected", *_row(held)], *([name, *_row([one])] for name, one in others.items())]
    bench.table("An agent's memory in MB", ["", "RSS", "PSS", "peak RSS"], rows)
    rows = [["cold start to connected", spread(took)]]
    bench.table(f"An agent's start ({len(took)} runs)", ["", "s"], rows)
    bench.keep(start_s=took, rss_mb=[m.rss for m in held], pss_mb=[m.pss for m in held])


def _connected(output: Path) -> bool:
    return b"connected to" in output.read_bytes()


def _enrol(claim: str, port: int, fleet: fleets.Fleet, state: Path) -> None:
    argv = [str(IRONROOT), "agent", "enrol", "--server", f"https://localhost:{port}", "--device", "agent-1"]
    argv += ["--claim", "-", "--ca", str(fleet.roots), "--state", str(state)]
    subprocess.run(argv, input=claim, text=True, check=True, capture_output=True, timeout=30)


def _interpreters(bench: Bench) -> dict[str, Memory]:
    with ExitStack() as stack:
        others = {
            name: stack.enter_context(running([sys.executable, "-c", code], bench.scratch / f"other-{number_}"))
            for number_, (name, code) in enumerate(PEERS.items())
        }
        time.sleep(IDLE_S / 2)
        return {name: memory(process.pid) for name, process in others.items()}


def _row(held: list[Memory]) -> list[str]:
    return [spread([m.rss for m in held]), spread([m.pss for m in held]), number(max(m.peak for m in held))]
