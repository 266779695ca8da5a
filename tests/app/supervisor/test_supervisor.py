"""Children of a supervisor: order, readiness, crashes, ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ironroot.app.supervisor.child import GaveUp
from ironroot.app.supervisor.portcheck import free_port
from ironroot.app.supervisor.spec import Answers, Backoff, Connects
from ironroot.core.errors import Misconfigured
from tests.app.supervisor.conftest import READY, STAY, World, action, alive, lines, spec, until


async def test_children_start_when_what_they_need_is_reached(world: World, tmp_path: Path) -> None:
    log = tmp_path / "order"

    def note(text: str) -> str:
        return action("note", log, text)

    port = free_port()
    await world.up(
        spec(
            "broker",
            note("broker starts"),
            action("sleep", 0.2),
            note("broker listens"),
            action("listen", port),
            STAY,
            probe=Connects((("127.0.0.1", port),)),
            after=("platform:prepared",),
        ),
        spec("platform", note("prepared"), action("tell", "prepared"), action("sleep", 0.1), READY, STAY),
        spec("worker", note("worker starts"), READY, STAY, after=("broker", "platform")),
    )
    assert lines(log) == ["prepared", "broker starts", "broker listens", "worker starts"]
    assert set(world.screen.order("ready")) == {"broker", "platform", "worker"}


async def test_a_child_is_ready_when_its_probe_says_so_not_when_it_runs(world: World) -> None:
    asked = 0

    async def third_time() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    await world.up(spec("door", STAY, probe=Answers(third_time)))
    assert asked == 3


async def test_a_crashed_child_is_started_again_with_growing_waits(world: World, tmp_path: Path) -> None:
    log = tmp_path / "lives"
    supervisor = await world.up(
        spec("worker", action("note", log, "PID"), READY, action("sleep", 0.05), action("kill", 9))
    )
    await until(lambda: len(lines(log)) >= 5)
    child = supervisor.children["worker"]
    assert child.restarts >= 4
    assert len(set(lines(log))) == len(lines(log))
    waits = [text for who, state, text in world.screen.events if state == "failed"]
    assert "killed by signal 9; again in" in waits[0]


async def test_the_others_go_on_while_one_crashes(world: World, tmp_path: Path) -> None:
    supervisor = await world.up(
        spec("good", READY, STAY),
        spec("bad", action("once", tmp_path / "first"), READY, action("exit", 3)),
    )
    good = supervisor.children["good"].process
    await until(lambda: supervisor.children["bad"].restarts >= 3)
    assert supervisor.children["good"].process is good


async def test_start_is_given_up_with_the_end_of_the_log_when_a_child_never_comes_up(world: World) -> None:
    with pytest.raises(GaveUp) as caught:
        await world.up(spec("platform", action("say", "database is locked"), action("exit", 7)))
    assert "ended with status 7" in caught.value.message
    assert "database is locked" in caught.value.message
    assert "platform.log" in caught.value.remedy
    assert world.screen.states("platform").count("starting") == 3


async def test_a_child_that_says_why_it_failed_is_not_tried_again(world: World) -> None:
    with pytest.raises(GaveUp, match="the master key is not readable"):
        await world.up(spec("platform", action("tell", "failed", "the master key is not readable"), action("exit", 1)))
    assert world.screen.states("platform").count("starting") == 1


async def test_a_binary_that_is_not_there_is_named(world: World) -> None:
    missing = spec("nats")
    with pytest.raises(GaveUp, match="cannot be started: No such file"):
        await world.up(replace(missing, argv=("/nonexistent/nats-server",)))


async def test_a_child_that_hangs_before_it_is_ready_is_ended(world: World) -> None:
    with pytest.raises(GaveUp, match=r"not ready after 0\.3 s"):
        await world.up(spec("platform", STAY, ready_timeout_s=0.3))


async def test_a_child_that_hangs_after_a_restart_is_ended_and_started_again(world: World, tmp_path: Path) -> None:
    """First life: ready, then a crash. Second: hangs. Third: well."""
    first, second = tmp_path / "1", tmp_path / "2"
    supervisor = await world.up(
        spec(
            "worker",
            action("once", first),
            action("tell", "ready"),
            action("sleep", 0.1),
            action("once", tmp_path / "crashed"),
            action("exit", 1),
            action("once", second),
            action("stay"),
            READY,
            STAY,
            ready_timeout_s=0.5,
        )
    )
    child = supervisor.children["worker"]
    await until(lambda: child.restarts == 2)
    await until(lambda: world.screen.states("worker")[-1] == "ready")
    assert any("not ready after" in text for _, _, text in world.screen.events)


async def test_children_stop_in_reverse_with_the_signal_they_like(world: World, tmp_path: Path) -> None:
    log = tmp_path / "order"
    supervisor = await world.up(
        *(spec(name, action("on-stop", log, name), READY, STAY) for name in ("broker", "platform", "door"))
    )
    await supervisor.stop(asyncio.Event())
    assert lines(log) == ["door", "platform", "broker"]
    assert world.screen.order("stopped") == ["door", "platform", "broker"]


async def test_a_child_that_ignores_the_signal_is_killed(world: World) -> None:
    supervisor = await world.up(spec("deaf", action("ignore", int(signal.SIGTERM)), READY, STAY, stop_timeout_s=0.2))
    process = supervisor.children["deaf"].process
    assert process is not None
    await supervisor.stop(asyncio.Event())
    assert not alive(process.pid)


async def test_hurry_ends_the_waiting(world: World) -> None:
    supervisor = await world.up(spec("deaf", action("ignore", int(signal.SIGTERM)), READY, STAY, stop_timeout_s=60))
    hurry = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, hurry.set)
    began = time.monotonic()
    await supervisor.stop(hurry)
    assert time.monotonic() - began < 5


async def test_nothing_of_a_child_is_left_its_own_children_neither(world: World, tmp_path: Path) -> None:
    grandchild = tmp_path / "grandchild"
    supervisor = await world.up(spec("parent", action("spawn", grandchild), READY, STAY))
    pid = int(grandchild.read_text())
    assert alive(pid)
    await supervisor.stop(asyncio.Event())
    await until(lambda: not alive(pid))


async def test_grandchildren_of_a_crashed_child_do_not_pile_up(world: World, tmp_path: Path) -> None:
    grandchild = tmp_path / "grandchild"
    supervisor = await world.up(spec("parent", action("spawn", grandchild), READY, STAY))
    first = int(grandchild.read_text())
    process = supervisor.children["parent"].process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    await until(lambda: supervisor.children["parent"].restarts == 1)
    await until(lambda: not alive(first))


async def test_requests_are_finished_before_the_signal(world: World, tmp_path: Path) -> None:
    log = tmp_path / "order"

    async def drained() -> None:
        with log.open("a") as file:
            file.write("drained\n")

    supervisor = await world.up(spec("door", action("on-stop", log, "signalled"), READY, STAY, before_stop=drained))
    await supervisor.stop(asyncio.Event())
    assert lines(log) == ["drained", "signalled"]


async def test_a_drain_that_fails_or_hangs_stops_nothing(world: World) -> None:
    async def fails() -> None:
        raise OSError("gone")

    supervisor = await world.up(
        spec("a", READY, STAY, before_stop=fails),
        spec("b", READY, STAY, before_stop=asyncio.Event().wait, stop_timeout_s=0.2),
    )
    await supervisor.stop(asyncio.Event())
    assert world.screen.order("stopped") == ["b", "a"]


async def test_stopping_during_the_start_leaves_nothing(world: World, tmp_path: Path) -> None:
    log = tmp_path / "pids"
    supervisor = world.supervisor(
        spec("slow", action("note", log, "PID"), STAY),
        spec("next", action("note", log, "PID"), READY, STAY, after=("slow",)),
    )
    start = asyncio.create_task(supervisor.start())
    await until(lambda: lines(log))
    start.cancel()
    await supervisor.stop(asyncio.Event())
    assert [alive(int(pid)) for pid in lines(log)] == [False]


async def test_stopping_during_the_wait_before_a_restart_is_at_once(world: World) -> None:
    child = replace(
        spec("worker", READY, action("sleep", 0.1), action("exit", 1)), backoff=Backoff(first_s=60, most_s=60)
    )
    supervisor = await world.up(child)
    await until(lambda: supervisor.children["worker"].restarts == 1)
    began = time.monotonic()
    await supervisor.stop(asyncio.Event())
    assert time.monotonic() - began < 2


async def test_what_children_tell_reaches_the_person(world: World) -> None:
    supervisor = await world.up(
        spec(
            "platform",
            action("tell", "status", "migrating the database"),
            action("tell", "link", "https://localhost:8443/sign-in#TOKEN"),
            action("tell", "warning", "the clock is\x1b[31m\n off"),
            action("tell", "hint", "look at /devices"),
            action("tell", "unknown-word", "x"),
            READY,
            STAY,
        )
    )
    assert supervisor.link == "https://localhost:8443/sign-in#TOKEN"
    assert supervisor.hints == ["look at /devices"]
    assert ("warning", "the clock is[31m off") in world.screen.said
    assert ("platform", "starting", "migrating the database") in world.screen.events


async def test_a_child_sees_a_clean_environment(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRONROOT_STORE_URL", "postgresql+asyncpg://user:secret@host/db")
    monkeypatch.setenv("LD_PRELOAD", "")
    await world.up(spec("child", action("environment", tmp_path / "env"), READY, STAY, env={"GIVEN": "1"}))
    seen = set(lines(tmp_path / "env"))
    assert {"GIVEN", "IRONROOT_NOTIFY_FD", "PATH"} <= seen
    assert not {"IRONROOT_STORE_URL", "LD_PRELOAD"} & seen


async def test_a_child_has_no_descriptor_but_those_it_was_given(world: World, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as open_here:
        os.set_inheritable(open_here.fileno(), True)
        supervisor = await world.up(spec("child", READY, STAY))
        process = supervisor.children["child"].process
        assert process is not None
        targets = {str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()}
    assert not any("secret" in target for target in targets)


async def test_output_is_kept_in_the_child_s_log(world: World, tmp_path: Path) -> None:
    supervisor = await world.up(spec("child", action("say", "hello"), READY, STAY))
    await supervisor.stop(asyncio.Event())
    assert (tmp_path / "child.log").read_text() == "hello\n"
    assert (tmp_path / "child.log").stat().st_mode & 0o077 == 0


async def test_waiting_for_nobody_is_a_mistake_of_ours(world: World) -> None:
    with pytest.raises(Misconfigured, match="waits for ghost"):
        world.supervisor(spec("a", after=("ghost:prepared",)))
