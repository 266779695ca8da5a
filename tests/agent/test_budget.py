"""What a device pays: which packages, how much memory, how long until it is connected."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grimp
import pytest

from tests.agent.broker import Broker, eventually
from tests.agent.est_server import EstServer
from tests.agent.pki import Pki

ALLOWED = {"cryptography", "paho", "ironroot"}
MEMORY_KB = 40 * 1024
START_S = 10.0
"""Generous: a shared test machine. The figure is printed; docs/performance.md has a measured one."""

Run = Callable[[Path], subprocess.Popen[bytes]]


def environment(state: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "IRONROOT_STATE": str(state)}


@pytest.fixture
def run() -> Iterator[Run]:
    running: list[subprocess.Popen[bytes]] = []

    def begin(state: Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "ironroot", "agent", "run"], env=environment(state), stderr=subprocess.PIPE
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Byte code as an installation on a device has it: compiling at the first start costs megabytes for as long."""
    wanted = "ironroot.agent", "ironroot.core", "ironroot.wire", "cryptography", "paho", "cffi", "pycparser"
    found = [importlib.util.find_spec(name) for name in wanted]
    folders = [str(Path(spec.origin).parent) for spec in found if spec is not None and spec.origin is not None]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], check=True, stdout=subprocess.DEVNULL)


def read_until(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    assert process.stderr is not None
    seen = b""
    while words not in seen:
        line = process.stderr.readline()
        assert line, seen.decode()
        seen += line
    return seen


def resident_kb(pid: int) -> int:
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1])


def test_the_agent_imports_its_own_packages_and_the_standard_library_only() -> None:
    graph = grimp.build_graph("ironroot", include_external_packages=True)
    agent = {m for m in graph.modules if m == "ironroot.agent" or m.startswith("ironroot.agent.")}
    reached = set(agent)
    for module in agent:
        reached |= graph.find_upstream_modules(module)
    ours = {m for m in reached if m.startswith("ironroot")}
    allowed = ("ironroot.agent", "ironroot.core", "ironroot.wire", "ironroot.verify")
    assert {m for m in ours if m != "ironroot" and not m.startswith(allowed)} == set()
    foreign = {m.split(".")[0] for m in reached} - set(sys.stdlib_module_names) - ALLOWED
    assert foreign == set(), f"the agent would need {foreign} on every device"


def test_a_device_loads_nothing_of_the_platform() -> None:
    code = (
        "import sys, ironroot.agent.cli, ironroot.agent.run, ironroot.agent.enrol;"
        "print(*{m.split('.')[0] for m in sys.modules})"
    )
    loaded = set(subprocess.check_output([sys.executable, "-I", "-c", code], text=True).split())
    assert {m for m in loaded if not m.startswith("_")} - set(sys.stdlib_module_names) == ALLOWED
    assert not loaded & {"asyncio", "fastapi", "sqlalchemy", "msgspec", "pydantic", "httpx", "uvicorn", "typer", "rich"}


def test_a_usage_error_costs_no_cryptography() -> None:
    code = "import sys, ironroot.agent.cli; print('cryptography' in sys.modules, 'paho' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]


def test_memory_and_start_of_a_connected_agent(pki: Pki, broker: Broker, tmp_path: Path, run: Run) -> None:
    state = pki.enrolled(tmp_path / "state", "meter-1", broker.port - 1)
    began = time.perf_counter()
    process = run(state.directory)
    read_until(process, b"connected to")
    took = time.perf_counter() - began
    eventually((state.directory / "status.json").exists, "status")
    memory = resident_kb(process.pid)
    sys.stdout.write(f"agent: connected after {took:.2f} s, {memory / 1024:.1f} MB resident\n")
    assert memory < MEMORY_KB
    assert took < START_S


def test_memory_after_a_renewal(pki: Pki, broker: Broker, est: EstServer, tmp_path: Path, run: Run) -> None:
    from datetime import timedelta

    from tests.agent.pki import now

    state = pki.enrolled(
        tmp_path / "state",
        "meter-1",
        est.port,
        mqtt=f"localhost:{broker.port}",
        not_before=now() - timedelta(days=6, hours=20),
    )
    before = state.certificate()
    process = run(state.directory)
    read_until(process, b"certificate renewed")
    read_until(process, b"connected to")
    memory = resident_kb(process.pid)
    sys.stdout.write(f"agent: {memory / 1024:.1f} MB resident after a renewal\n")
    assert memory < MEMORY_KB
    after = state.certificate()
    assert before is not None
    assert after is not None
    assert after.not_after > before.not_after
