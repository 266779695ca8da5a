"""The front door's logs stay within bounds while it writes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ironroot.adapters.envoy.admin import Admin
from ironroot.adapters.envoy.settings import Limits
from ironroot.app.supervisor.housekeeping import bound_logs_once
from tests.adapters.envoy.front import Front, front


@pytest.fixture
def door() -> Iterator[Front]:
    with front(Limits()) as running:
        yield running


async def test_grown_log_is_put_aside_and_writing_goes_on(door: Front) -> None:
    logs = [door.settings.request_log, door.settings.connection_log]
    admin = Admin(door.settings.admin_socket)
    door.curl("devices", "/before")
    door.log(logs[0], "/before")
    await bound_logs_once(admin, logs, max_bytes=1 << 20)
    assert not logs[0].with_name("requests.jsonl.1").exists()
    await bound_logs_once(admin, logs, max_bytes=10)
    assert "/before" in logs[0].with_name("requests.jsonl.1").read_text()
    door.curl("devices", "/after")
    assert door.log(logs[0], "/after")["status"] == 403


async def test_no_log_and_no_front_door_is_no_error(tmp_path: Path) -> None:
    await bound_logs_once(Admin(tmp_path / "none"), [tmp_path / "none.jsonl"], 1)
    (tmp_path / "a.jsonl").write_text("grown")
    await bound_logs_once(Admin(tmp_path / "none"), [tmp_path / "a.jsonl"], 1)
    assert (tmp_path / "a.jsonl.1").exists()
