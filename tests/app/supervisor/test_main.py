"""`ironroot up` as a process: what it prints, refuses, survives and leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ironroot.app.datadir import locate
from tests.app.supervisor.conftest import alive, lines

ROOT = Path(__file__).parents[3]


def port_base() -> int:
    """Six ports in a row that are free now."""
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            base: int = probe.getsockname()[1]
        if base < 65_000:
            try:
                for step in range(6):
                    socket.create_server(("127.0.0.1", base + step)).close()
            except OSError:
                continue
            return base
    raise AssertionError("no six free ports in a row")


class Up:
    """One `ironroot up`."""

    def __init__(self, data: Path, scenario: str = "plain-quick", base: int | None = None, **env: str) -> None:
        self.data = data
        self.base = base or port_base()
        argv = [scenario, "--data", str(data), "--port-base", str(self.base)]
        ours = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the child would inherit that it is ignored
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.app.supervisor.fake_up", *argv],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **env},
            )
        finally:
            signal.signal(signal.SIGHUP, ours)
        self.printed: list[str] = []

    def until_ready(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.rstrip())
            if "Ctrl-C stops everything" in line:
                return
        assert self.process.stderr is not None
        raise AssertionError("\n".join(self.printed) + self.process.stderr.read())

    def end(self) -> tuple[int, str]:
        """Exit status and what was printed as an error."""
        out, err = self.process.communicate(timeout=30)
        self.printed += out.splitlines()
        return self.process.returncode, err

    @property
    def orphans(self) -> list[int]:
        """Children of children: a supervisor killed by SIGKILL cannot end those."""
        return [int(text) for text in lines(self.data / "grandchildren")]

    @property
    def pids(self) -> list[int]:
        return [*(int(line.split()[1]) for line in lines(self.data / "pids")), *self.orphans]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(scenario: str = "plain-quick", base: int | None = None, data: Path | None = None, **env: str) -> Up:
        started.append(Up(data or tmp_path / "data", scenario, base, **env))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.terminate()
        one.process.communicate(timeout=30)
        for pid in one.orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_until(holds: Callable[[], object], limit_s: float = 10) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def nothing_left(one: Up) -> bool:
    runtime = Path((one.data / "runtime").read_text())
    return not any(alive(pid) for pid in one.pids) and not runtime.exists() and not (one.data / "run.json").exists()


# --- a good day ----------------------------------------------------------------------------------


def test_start_shows_progress_then_addresses_link_and_hints(up: Callable[..., Up]) -> None:
    one = up()
    one.until_ready()
    text = "\n".join(one.printed)
    assert re.search(r"message broker: ready in \d", text)
    assert re.search(r"Ironroot \S+ is ready after \d", text)
    assert f"https://localhost:{one.base}" in text
    assert f"mqtts://localhost:{one.base + 2}" in text
    assert "https://localhost:1/sign-in#TOKEN" in text
    assert "ca trust --data" in text


def test_running_platform_is_located_through_its_data_directory(up: Callable[..., Up]) -> None:
    one = up()
    one.until_ready()
    running = locate(one.data)
    assert running is not None
    assert (running.pid, running.ports["mqtt"], running.listen) == (one.process.pid, one.base + 2, "127.0.0.1")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(running.host_socket))
    one.process.terminate()
    one.end()
    assert locate(one.data) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_and_leaves_nothing(up: Callable[..., Up], number: signal.Signals) -> None:
    one = up()
    one.until_ready()
    assert all(alive(pid) for pid in one.pids)
    one.process.send_signal(number)
    assert one.end() == (0, "")
    assert nothing_left(one)
    assert [line for line in one.printed if line.endswith("stopped")] == [
        "worker: stopped",
        "platform: stopped",
        "message broker: stopped",
    ]


def test_second_signal_hurries_a_child_that_would_not_end(up: Callable[..., Up]) -> None:
    one = up("plain")  # the worker ignores the signal and would be given a minute
    one.until_ready()
    one.process.terminate()
    time.sleep(0.3)
    began = time.monotonic()
    one.process.terminate()
    assert one.end()[0] == 0
    assert time.monotonic() - began < 5
    assert nothing_left(one)


def test_signal_during_the_start_stops_it_and_leaves_nothing(up: Callable[..., Up]) -> None:
    one = up()
    wait_until(lambda: lines(one.data / "pids"))
    one.process.terminate()
    assert one.end()[0] == 0
    wait_until(lambda: nothing_left(one))


# --- bad days ------------------------------------------------------------------------------------


def test_kill_9_of_the_supervisor_leaves_no_process_and_the_next_start_works(up: Callable[..., Up]) -> None:
    one = up()
    one.until_ready()
    left = Path((one.data / "runtime").read_text())
    children = [pid for pid in one.pids if pid not in one.orphans]
    one.process.kill()
    one.process.wait()
    wait_until(lambda: not any(alive(pid) for pid in children))
    assert locate(one.data) is None
    again = up(base=one.base)
    again.until_ready()
    assert not left.exists()
    again.process.terminate()
    assert again.end()[0] == 0
    for pid in again.orphans[:1]:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: nothing_left(again))


def test_killed_child_comes_back(up: Callable[..., Up]) -> None:
    one = up()
    one.until_ready()
    first = one.pids[0]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(lines(one.data / "pids")) == 4)
    assert one.process.poll() is None


def test_child_that_does_not_start_ends_all_with_its_last_words(up: Callable[..., Up]) -> None:
    one = up("broken")
    status, err = one.end()
    assert status == 1
    assert "refused  front door does not start: ended with status 1" in err
    assert "no such key" in err
    assert not any(alive(pid) for pid in one.pids)
    assert not (one.data / "run.json").exists()


# --- refusals, before anything is started --------------------------------------------------------


def refused(one: Up, *words: str) -> None:
    status, err = one.end()
    assert status == 1, err
    for word in ("refused", *words):
        assert word in err
    assert "Traceback" not in err
    assert one.pids == []


def test_second_start_on_the_same_data_is_refused_and_names_the_first(up: Callable[..., Up]) -> None:
    one = up()
    one.until_ready()
    status, err = up().end()
    assert status == 1
    assert f"already (process {one.process.pid})" in err
    assert one.process.poll() is None
    assert locate(one.data) is not None


@pytest.mark.parametrize(("step", "door"), [(0, "the console"), (1, "devices"), (2, "MQTT"), (5, "plain HTTP")])
def test_taken_port_is_refused(up: Callable[..., Up], step: int, door: str) -> None:
    base = port_base()
    with socket.create_server(("127.0.0.1", base + step)):
        refused(up(base=base), f"port {base + step}, for {door}, is taken by process {os.getpid()}", "--port-base")


def test_file_in_the_place_of_the_data_directory_is_refused(up: Callable[..., Up], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    refused(up(), "is not a directory")


def test_directory_below_a_file_is_refused(up: Callable[..., Up], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(up(data=tmp_path / "file" / "data"), "cannot write to the data directory", "Not a directory")


def test_data_directory_of_a_newer_version_is_refused(up: Callable[..., Up], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "ironroot.json").write_text(json.dumps({"format": 2}))
    refused(up(), "newer Ironroot (format 2; this one knows 1)")


def test_data_directory_open_to_others_is_refused(up: Callable[..., Up], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "ironroot.json").write_text(json.dumps({"format": 1}))
    data.chmod(0o755)
    refused(up(), "open to other users", "chmod 700")


def test_missing_binary_is_refused(up: Callable[..., Up], tmp_path: Path) -> None:
    refused(up(IRONROOT_ENVOY=str(tmp_path / "none")), "no Envoy at")
    refused(up(IRONROOT_NATS_SERVER=str(tmp_path / "none")), "no nats-server at")


def test_binary_that_is_too_old_is_refused(up: Callable[..., Up], tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho envoy version: abc/1.30.1/Clean/RELEASE/BoringSSL nats-server: v2.10.0\n")
    old.chmod(0o700)
    refused(up(IRONROOT_ENVOY=str(old)), "Envoy 1.30.1 is too old", "1.40.0")
    refused(up(IRONROOT_NATS_SERVER=str(old)), "2.10.0")


def test_wrong_configuration_is_refused(up: Callable[..., Up], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "ironroot.toml").write_text("[listen]\naddress = 'nowhere'\n")
    refused(up(), "not an IP address")


# --- the real front door -------------------------------------------------------------------------


def test_platform_killed_under_load_loses_no_new_request(up: Callable[..., Up]) -> None:
    """The supervisor holds the listening socket: while the platform is away, requests wait in it."""
    one = up("web")
    one.until_ready()
    context = ssl.create_default_context(cafile=str(one.data / "root.pem"))
    seen: list[str] = []
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            try:
                with urllib.request.urlopen(f"https://localhost:{one.base}/x", context=context, timeout=10) as answer:
                    seen.append(answer.read().decode())
            except OSError as e:
                seen.append(f"failed: {e}")

    pollers = [threading.Thread(target=poll) for _ in range(3)]
    for poller in pollers:
        poller.start()
    try:
        wait_until(lambda: len(seen) > 20)
        first = int(lines(one.data / "pids")[0].split()[1])
        os.kill(first, signal.SIGTERM)  # a request being answered at the moment of a kill -9 is lost, rightly
        wait_until(lambda: len(set(seen)) == 2)
        before = len(seen)
        wait_until(lambda: len(seen) > before + 20)
    finally:
        stop.set()
        for poller in pollers:
            poller.join()
    assert not [answer for answer in seen if answer.startswith("failed")]
    one.process.terminate()
    assert one.end()[0] == 0


# --- small ---------------------------------------------------------------------------------------


def test_the_supervisor_imports_the_standard_library_alone() -> None:
    """It lives as long as the platform, so it stays small, and nothing of what may break can break it."""
    script = (
        "import sys; before = set(sys.modules);"
        "import ironroot.app.supervisor.main, ironroot.app.supervisor.notify;"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(loaded - set(sys.stdlib_module_names) - {'ironroot'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_supervisor_stays_small(up: Callable[..., Up]) -> None:
    one = up("web")
    one.until_ready()
    status = Path(f"/proc/{one.process.pid}/status").read_text()
    resident = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])  # type: ignore[index]  # Linux always says
    assert resident < 60_000  # with the test's certificate library in it; the real one is checked by hand
