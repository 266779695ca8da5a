from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.adapters.nats.logfile import BEHIND, Denied, LogFollower, StorageFailed, parse

HEAD = "[9812] 2026/11/23 12:22:26.875414 [ERR] 127.0.0.1:39520 - mid:31 - "
PUBLISH = HEAD + '"R1f6KYyAsdZJh5ILSZfabK" - Publish Violation - Subject "d.dev00002.up.telemetry.t"'
SUBSCRIBE = HEAD + '"a" - Subscription Violation - Subject "d.dev00002.down.>", SID d.dev00002.down.>'
STORAGE = "[1] 2026/11/23 12:23:39.458762 [ERR] Filestore [$MQTT_msgs] Critical write error: no space left on device"


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        (PUBLISH, Denied(31, "127.0.0.1", "publish", "d.dev00002.up.telemetry.t")),
        (SUBSCRIBE, Denied(31, "127.0.0.1", "subscribe", "d.dev00002.down.>")),
        (PUBLISH.replace("127.0.0.1:39520", "[::1]:39520"), Denied(31, "::1", "publish", "d.dev00002.up.telemetry.t")),
        (STORAGE, StorageFailed()),
        (PUBLISH.replace("mid:31", "cid:31"), None),
        (HEAD + '"a" - authentication error', None),
    ],
)
def test_lines_mean_what_they_say(line: str, meaning: object) -> None:
    assert parse(line) == meaning


def test_a_client_id_that_imitates_the_log_accuses_nobody_else() -> None:
    """nats-server writes the client's own text with %q: its quotes come escaped."""
    forged = HEAD + '"x\\" - mid:7 - \\"y\\" - Publish Violation - Subject \\"d.z.up.event" - authentication error'
    assert parse(forged) is None
    real = HEAD + '"x\\" - mid:7 - \\"y" - Publish Violation - Subject "d.z.up.event"'
    assert parse(real) == Denied(31, "127.0.0.1", "publish", "d.z.up.event")


@given(st.text(max_size=300))
def test_no_line_stops_the_reader(line: str) -> None:
    parse(f"{HEAD}{line}")


def subjects(follower: LogFollower) -> list[str]:
    return [line.subject for line in follower.read() if isinstance(line, Denied)]


def write(path: Path, *names: str, mode: str = "a") -> None:
    with path.open(mode) as f:
        f.writelines(f'{HEAD}"a" - Publish Violation - Subject "{name}"\n' for name in names)


def test_it_reads_what_is_added_also_across_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "nats.log"
    write(path, "before")
    follower = LogFollower(path)
    assert subjects(follower) == []
    write(path, "one", "two")
    assert subjects(follower) == ["one", "two"]
    write(path, "three")
    path.rename(tmp_path / "nats.log.1")
    write(path, "four")
    assert subjects(follower) == ["three", "four"]
    write(path, "5", mode="w")
    assert subjects(follower) == ["5"]
    follower.close()


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    path = tmp_path / "nats.log"
    follower = LogFollower(path)
    path.write_text(PUBLISH[:60])
    assert subjects(follower) == []
    with path.open("a") as f:
        f.write(PUBLISH[60:] + "\n")
    assert subjects(follower) == ["d.dev00002.up.telemetry.t"]
    follower.close()


def test_a_flooded_log_is_skipped_not_chewed(tmp_path: Path) -> None:
    path = tmp_path / "nats.log"
    path.touch()
    follower = LogFollower(path)
    with path.open("a") as f:
        f.write((PUBLISH + "\n") * (2 * BEHIND // len(PUBLISH)))
    write(path, "last")
    found = subjects(follower)
    assert len(found) < 3000
    assert found[-1] == "last"
    follower.close()
