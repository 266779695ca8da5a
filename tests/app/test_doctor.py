"""What `ironroot doctor` finds."""

from __future__ import annotations

import socket
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ironroot.app.config import Config, Listen, StoreConfig
from ironroot.app.datadir import DataDir, Running, hold, prepare
from ironroot.app.doctor import CHECKS, Finding, Seen, clock_synchronised, examine, look
from ironroot.core.errors import Misconfigured

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
RUNNING = Running(1, Path("/r"), "127.0.0.1", {}, "", "")
WELL = Seen(NOW, DataDir(Path("/d")), running=RUNNING, free_bytes=1 << 40, clock_synchronised=True, last_checkpoint=NOW)


def findings(seen: Seen) -> list[Finding]:
    return [finding for check in CHECKS.values() for finding in check(seen)]


def test_a_well_machine_has_no_findings() -> None:
    assert findings(WELL) == []


@pytest.mark.parametrize(
    ("change", "code", "severity"),
    [
        ({"broken": (Misconfigured("x", remedy="y", code="envoy-old"),)}, "envoy-old", "error"),
        ({"ports_taken": (Misconfigured("x", remedy="y", code="port-taken"),)}, "port-taken", "warning"),
        ({"free_bytes": 400 << 20}, "disk-low", "warning"),
        ({"free_bytes": 49 << 20}, "disk-full", "error"),
        ({"open_files": (Path("/d/keys/master.key"),)}, "key-open", "error"),
        ({"master_key_missing": True}, "key-missing", "error"),
        ({"now": datetime(2025, 12, 31, tzinfo=UTC)}, "clock-wrong", "error"),
        ({"newest_write": NOW + timedelta(hours=1)}, "clock-back", "error"),
        ({"clock_synchronised": False}, "clock-unsynchronised", "info"),
        ({"running": None}, "stopped", "info"),
        ({"running": None, "starting": True}, "starting", "info"),
        ({"runtime_reachable": False}, "runtime-gone", "error"),
        ({"last_checkpoint": NOW - timedelta(hours=4)}, "checkpoint-old", "warning"),
        ({"pending_facts": 20_000}, "facts-waiting", "warning"),
        ({"config": Config(listen=Listen(address="0.0.0.0"))}, "listening", "info"),
        (
            {"config": Config(store=StoreConfig("postgresql+asyncpg://u:p@db.example/x"))},
            "store-unencrypted",
            "warning",
        ),
        ({"trusted": {"system": True, "Chromium": False}}, "root-untrusted", "info"),
    ],
)
def test_each_ailment_is_one_finding_with_a_remedy(change: dict[str, object], code: str, severity: str) -> None:
    (found,) = findings(replace(WELL, **change))  # type: ignore[arg-type]  # a test's shorthand
    assert (found.code, found.severity) == (code, severity)
    assert found.text
    assert found.remedy or code == "starting"


@pytest.mark.parametrize(
    "url", ["", "postgresql+asyncpg://u:p@localhost/x", "postgresql+asyncpg://u:p@db/x?ssl=verify-full", "sqlite:///x"]
)
def test_local_or_encrypted_store_is_well(url: str) -> None:
    assert findings(replace(WELL, config=Config(store=StoreConfig(url)))) == []


def test_password_of_the_store_is_in_no_finding() -> None:
    seen = replace(WELL, config=Config(store=StoreConfig("postgresql+asyncpg://u:hunter2@db.example/x")))
    assert "hunter2" not in str(findings(seen))


def test_no_data_directory_is_an_error_that_says_so(tmp_path: Path) -> None:
    assert examine(tmp_path / "none")[0].code == "data-none"


def test_a_stopped_platform_is_looked_at_without_touching_it(tmp_path: Path) -> None:
    data = prepare(tmp_path / "d")
    before = sorted(data.root.rglob("*"))
    codes = {finding.code for finding in examine(data.root)}
    assert "stopped" in codes
    assert not {finding.code for finding in examine(data.root) if finding.severity == "error"}
    assert sorted(data.root.rglob("*")) == before


def test_what_lies_in_the_data_directory_is_seen(tmp_path: Path) -> None:
    data = prepare(tmp_path / "d")
    with sqlite3.connect(data.state) as db:
        db.execute("CREATE TABLE fact_checkpoint (at BIGINT)")
        db.execute("CREATE TABLE fact_pending (n INTEGER)")
        db.execute("INSERT INTO fact_checkpoint VALUES (?)", (1_000_000,))
        db.execute("INSERT INTO fact_pending VALUES (1)")
    db.close()
    data.state.chmod(0o644)
    seen = look(data.root)
    assert seen.last_checkpoint == datetime.fromtimestamp(1, UTC)
    assert seen.pending_facts == 1
    assert seen.open_files == (data.state,)
    assert seen.master_key_missing


def test_damaged_database_and_configuration_stop_no_examination(tmp_path: Path) -> None:
    data = prepare(tmp_path / "d")
    data.state.write_bytes(b"not a database" * 100)
    data.config.write_text("[[[")
    codes = [finding.code for finding in examine(data.root)]
    assert "misconfigured" in codes


def test_taken_port_is_found_while_the_platform_is_stopped(tmp_path: Path) -> None:
    data = prepare(tmp_path / "d")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        data.config.write_text(f"[listen]\nport_base = {port}\n")
        assert "port-taken" in {finding.code for finding in examine(data.root)}


def test_a_command_at_work_is_no_fault(tmp_path: Path) -> None:
    data = prepare(tmp_path / "d")
    with hold(data):
        assert "starting" in {finding.code for finding in examine(data.root)}


def test_the_kernel_is_asked_about_its_clock() -> None:
    assert clock_synchronised() in {True, False, None}
