"""The supervisor's small parts."""

from __future__ import annotations

import io
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.app.datadir import DataDir
from ironroot.app.supervisor import notify, portcheck, preflight
from ironroot.app.supervisor.display import PlainDisplay, TerminalDisplay, summary
from ironroot.app.supervisor.logfile import BoundedLog
from ironroot.app.supervisor.options import RunOptions, load, parse
from ironroot.app.supervisor.runtime import runtime, sweep
from ironroot.app.supervisor.spec import Backoff
from ironroot.core.errors import Corrupt, Misconfigured

# --- back-off ------------------------------------------------------------------------------------


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_back_off_grows_to_its_bound_and_never_past_it(failures: int, jitter: float) -> None:
    backoff = Backoff()
    assert 0.1 <= backoff.delay_s(failures, jitter) <= 10
    assert backoff.delay_s(failures, 1) <= backoff.delay_s(failures + 1, 1)
    assert backoff.delay_s(failures, 0) == backoff.delay_s(failures, 1) / 2


def test_back_off_starts_quick() -> None:
    assert [Backoff().delay_s(n, 1) for n in (1, 2, 3, 6, 7)] == [0.2, 0.4, 0.8, 6.4, 10.0]


# --- logs ----------------------------------------------------------------------------------------


def test_log_stays_within_twice_its_bound(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "a.log", max_bytes=1_000)
    for number in range(200):
        log.write(b"%03d %s\n" % (number, b"x" * 50))
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1"]
    assert all(path.stat().st_size <= 1_000 for path in tmp_path.iterdir())
    assert log.tail(1)[0].startswith("199 ")


def test_log_goes_on_where_an_earlier_run_ended(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        log = BoundedLog(tmp_path / "a.log")
        log.write(text)
        log.close()
    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\n"


def test_full_disk_loses_lines_and_says_so_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int, __: bytes) -> int:
        raise OSError(28, "No space left on device")

    log = BoundedLog(tmp_path / "a.log")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        log.write(b"lost\n")
    log.write(b"kept\n")
    log.close()
    assert (tmp_path / "a.log").read_text() == "[5 bytes of this log were lost: no room]\nkept\n"


def test_log_is_not_written_through_a_planted_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("")
    (tmp_path / "a.log").symlink_to(tmp_path / "victim")
    BoundedLog(tmp_path / "a.log").write(b"x")
    assert (tmp_path / "victim").read_text() == ""


# --- ports ---------------------------------------------------------------------------------------


def test_taken_port_is_refused_with_door_port_and_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured) as caught:
            portcheck.require_free("127.0.0.1", [("MQTT", port)])
    assert f"port {port}, for MQTT, is taken by process {os.getpid()}" in caught.value.message
    assert "--port-base" in caught.value.remedy


def test_port_shared_by_another_listener_counts_as_taken() -> None:
    """Envoy's listeners allow sharing: two platforms on one port would split the connections between them."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Misconfigured, match="is taken"):
            portcheck.require_free("127.0.0.1", [("the console", taken.getsockname()[1])])


def test_port_taken_on_every_address_is_taken_on_one() -> None:
    with socket.create_server(("", 0)) as taken, pytest.raises(Misconfigured, match="is taken"):
        portcheck.require_free("127.0.0.1", [("the console", taken.getsockname()[1])])


def test_free_port_can_be_used_again_at_once() -> None:
    port = portcheck.free_port()
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)):
        accepted, _ = server.accept()
        accepted.close()
    portcheck.require_free("127.0.0.1", [("the console", port)])
    assert portcheck.holder(port) is None


def test_foreign_address_is_refused() -> None:
    with pytest.raises(Misconfigured) as caught:
        portcheck.require_free("192.0.2.1", [("the console", 18443)])
    assert "--listen" in caught.value.remedy


# --- runtime directory ---------------------------------------------------------------------------


def test_runtime_directory_is_private_and_gone_afterwards() -> None:
    with runtime() as held:
        assert stat.S_IMODE(held.path.stat().st_mode) == 0o700
        for name in ("api.sock", "host.sock"):
            assert stat.S_IMODE((held.path / name).stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(held.path / "api.sock"))  # queues, though nobody accepts yet
    assert not held.path.exists()


def test_long_temporary_directory_is_not_used_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with runtime() as held:
        assert held.path.parent == Path("/tmp")
    assert not list(long.iterdir())


def test_only_what_plainly_is_ours_is_swept(tmp_path: Path) -> None:
    """`run.json` may be damaged or old: what it names is not removed on its word alone."""
    ours, other, victim = tmp_path / "ironroot-abc", tmp_path / "documents", tmp_path / "victim"
    link = tmp_path / "ironroot-link"
    for path in (ours, other, victim):
        path.mkdir()
    link.symlink_to(victim)
    for path in (ours, other, link, tmp_path / "ironroot-gone"):
        sweep(path)
    assert (ours.exists(), other.exists(), victim.exists(), link.is_symlink()) == (False, True, True, True)


# --- options -------------------------------------------------------------------------------------


def test_options_reach_the_children_in_a_private_file(tmp_path: Path) -> None:
    told = RunOptions(tmp_path, tmp_path, 4222, "0.0.0.0", 9000, "postgresql+asyncpg://u:secret@h/d", 5)
    told.save()
    assert load(tmp_path) == told
    assert told.config().listen.ports[2] == 9002
    assert stat.S_IMODE((tmp_path / "options.json").stat().st_mode) == 0o600
    assert "secret" not in repr(told)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"data": 1}', '{"data": "/", "runtime": "/", "nats_port": 1, "x": 1}']
)
def test_damaged_options_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "options.json").write_text(text)
    with pytest.raises(Corrupt, match=r"options\.json"):
        load(tmp_path)


@pytest.mark.parametrize(
    "argv", [["--port-base", "80"], ["--port-base", "65531"], ["--port-base", "x"], ["--demo", "-1"], ["extra"]]
)
def test_usage_errors_end_with_status_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(argv)
    assert caught.value.code == 2
    assert "usage: ironroot up" in capsys.readouterr().err


# --- display -------------------------------------------------------------------------------------


def test_plain_display_prints_a_line_per_event() -> None:
    out = io.StringIO()
    show = PlainDisplay(out, {"nats": "message broker"})
    show.state("nats", "waiting")
    show.state("nats", "starting")
    show.state("nats", "ready", "in 0.1 s")
    show.say("low", "warning")
    summary(show, [("console", "https://localhost:8443")], "https://localhost:8443/sign-in#T", ["Try next:"])
    assert out.getvalue().splitlines() == [
        "message broker: starting",
        "message broker: ready in 0.1 s",
        "warning: low",
        "",
        "  console  https://localhost:8443",
        "",
        "  Sign in as the first administrator (this link works once):",
        "  https://localhost:8443/sign-in#T",
        "",
        "  Try next:",
    ]


def test_terminal_display_redraws_its_block_and_leaves_it() -> None:
    out = io.StringIO()
    show = TerminalDisplay(out, {"a": "first", "b": "second"})
    show.state("a", "starting")
    show.say("careful", "warning")
    show.state("b", "ready", "in 1.0 s")
    show.settle()
    show.state("a", "failed", "again in 0.2 s")
    text = out.getvalue()
    assert text.count("\033[2A") == 2
    assert text.splitlines()[-1].count("again in 0.2 s") == 1


def test_display_without_a_reader_stops_nothing() -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    PlainDisplay(Closed(), {}).say("x")
    TerminalDisplay(Closed(), {}).say("x")


# --- telling -------------------------------------------------------------------------------------


def test_telling_without_a_supervisor_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(notify.NOTIFY_FD, raising=False)
    notify.tell("ready")
    monkeypatch.setenv(notify.NOTIFY_FD, "987654")
    notify.tell("ready")


def test_a_told_line_is_one_line_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setenv(notify.NOTIFY_FD, str(write))
    notify.tell("status", "two\nready\n" + "x" * 10_000)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        content = pipe.read()
    assert content.count(b"\n") == 1
    assert len(content) == notify.MAX_LINE


def test_no_inherited_socket_is_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IRONROOT_API_FD", raising=False)
    with pytest.raises(Misconfigured, match="no inherited socket 'api'"):
        notify.inherited("api")
    monkeypatch.setenv("IRONROOT_API_FD", "987654")
    with pytest.raises(Misconfigured, match="not open"):
        notify.inherited("api")


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    name = f"\0ironroot-test-{os.getpid()}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name)
        systemd.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
        notify.tell_systemd("READY=1")
        assert systemd.recv(100) == b"READY=1"
    notify.tell_systemd("STOPPING=1")  # gone meanwhile


# --- disk ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("free_mb", "expected"), [(5_000, "well"), (400, "warned"), (49, "refused")])
def test_little_disk_space_is_warned_of_and_too_little_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, expected: str
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=free_mb << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    data = DataDir(tmp_path)
    if expected == "refused":
        with pytest.raises(Misconfigured, match="only 49 MB are free"):
            preflight.disk(data)
    else:
        assert (preflight.disk(data) is None) == (expected == "well")
