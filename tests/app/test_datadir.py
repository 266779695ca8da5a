"""Who may open a data directory, and how a running platform is found through it."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from ironroot.app import datadir
from ironroot.app.datadir import Running, announce, existing, hold, last_run, locate, prepare, withdraw
from ironroot.core.errors import Conflict, Corrupt, IronrootError, Misconfigured, Unavailable


def code(root: Path) -> str:
    with pytest.raises(IronrootError) as caught:
        prepare(root)
    assert caught.value.remedy
    return caught.value.error_code


def running(root: Path) -> Running:
    return Running(os.getpid(), root / "r", "127.0.0.1", {"console": 8443}, "2026-01-01T00:00:00.000000Z", "0.1.0")


def test_new_directory_is_private_with_all_its_rooms(tmp_path: Path) -> None:
    data = prepare(tmp_path / "a" / "b")
    assert json.loads(data.marker.read_text()) == {"format": 1}
    for path in (data.root, data.logs, data.jetstream, data.demo, data.master_key.parent, data.vkey.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(data.marker.stat().st_mode) == 0o600


def test_second_opening_changes_nothing(tmp_path: Path) -> None:
    data = prepare(tmp_path / "d")
    data.state.write_text("x")
    assert prepare(tmp_path / "d") == existing(tmp_path / "d") == data
    assert data.state.read_text() == "x"


@pytest.mark.parametrize("name", [None, "ironroot.toml", "lost+found"])
def test_empty_directory_somebody_made_is_taken_and_closed_to_others(tmp_path: Path, name: str | None) -> None:
    root = tmp_path / "d"
    root.mkdir(mode=0o755)
    if name:
        (root / name).touch()
    prepare(root)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_directory_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    tmp_path.chmod(0o755)
    assert code(tmp_path) == "data-not-ours"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_directory_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    data = prepare(tmp_path / "d")
    data.root.chmod(mode)
    assert code(data.root) == "data-open"
    with pytest.raises(Misconfigured, match="open to other users"):
        existing(data.root)


def test_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path / "d")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert code(tmp_path / "d") == "data-foreign"


def test_newer_format_is_refused_and_untouched(tmp_path: Path) -> None:
    data = prepare(tmp_path / "d")
    data.marker.write_text('{"format": 2}')
    assert code(data.root) == "data-newer"
    assert data.marker.read_text() == '{"format": 2}'


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "1"}', '{"format": 0}', '{"format": null}', "\0"])
def test_damaged_marker_is_refused(tmp_path: Path, text: str) -> None:
    data = prepare(tmp_path / "d")
    data.marker.write_text(text)
    assert code(data.root) == "data-damaged"


def test_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert code(tmp_path / "f") == "data-unwritable"
    assert code(tmp_path / "f" / "d") == "data-unwritable"


def test_read_only_file_system_is_refused(tmp_path: Path) -> None:
    assert code(Path("/proc/ironroot-data")) == "data-unwritable"


def test_full_disk_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert code(tmp_path / "d") == "disk-full"


def test_opening_what_is_none_names_the_way_out(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "none"):
        with pytest.raises(Misconfigured, match="no Ironroot data directory"):
            existing(root)


# --- the lock ------------------------------------------------------------------------------------


def test_one_holder_at_a_time_and_the_second_learns_who(tmp_path: Path) -> None:
    data = prepare(tmp_path / "d")
    with hold(data):
        with pytest.raises(Conflict, match=f"process {os.getpid()}"), hold(data, wait_s=0):
            pass
        assert stat.S_IMODE(data.lock.stat().st_mode) == 0o600
    with hold(data, wait_s=0):
        pass


def test_lock_left_by_a_dead_process_holds_nobody(tmp_path: Path) -> None:
    data = prepare(tmp_path / "d")
    data.lock.write_text("1\n")
    announce(data, running(tmp_path))
    assert locate(data.root) is None
    with hold(data, wait_s=0):
        assert data.lock.read_text() == f"{os.getpid()}\n"


def test_running_platform_is_located(tmp_path: Path) -> None:
    data = prepare(tmp_path / "d")
    assert locate(data.root) is None
    with hold(data):
        with pytest.raises(Unavailable, match="is starting"):
            locate(data.root)
        announce(data, running(tmp_path))
        assert locate(data.root) == running(tmp_path)
        assert stat.S_IMODE(data.run.stat().st_mode) == 0o600
        announce(data, replace(running(tmp_path), pid=1))  # of an earlier run
        with pytest.raises(Unavailable):
            locate(data.root)
        withdraw(data)
    assert locate(data.root) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"pid": "x"}', '{"pid": 1, "runtime": "/", "listen": "", "ports": 5}']
)
def test_damaged_run_file_is_named(tmp_path: Path, text: str) -> None:
    data = prepare(tmp_path / "d")
    data.run.write_text(text)
    with pytest.raises(Corrupt, match=r"run\.json"):
        last_run(data)


def test_private_file_is_replaced_as_a_whole_and_not_through_a_link(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "p"
    victim.write_text("old")
    path.symlink_to(victim)
    datadir.write_private(path, b"new")
    assert victim.read_text() == "old"
    assert (path.read_bytes(), path.is_symlink()) == (b"new", False)
    (tmp_path / ".p.new").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        datadir.write_private(path, b"newer")
    assert victim.read_text() == "old"
