"""The running agent against a real broker: reconnect, nothing lost, orders done once."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ironroot.agent.backoff import Backoff
from ironroot.agent.buffer import Message, Rank
from ironroot.agent.clock import SystemClock
from ironroot.agent.host import Rhythm
from ironroot.agent.run import Agent, RunOptions
from ironroot.agent.state import State
from ironroot.agent.status import describe
from ironroot.core.ids import CommandId
from ironroot.wire.messages import Command, CommandResult, ConfigResult, DesiredConfig, Hello, Outcome, parse_event
from tests.agent.broker import Broker, Platform, eventually
from tests.agent.pki import Pki, now

FAST = RunOptions(rhythm=Rhythm(3600, 3600), backoff=Backoff(0.05, 0.4))

Start = Callable[..., Agent]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[tuple[Agent, threading.Thread]] = []

    def begin(state: State, options: RunOptions = FAST) -> Agent:
        agent = Agent(state, state.settings(), SystemClock(), options=options)
        thread = threading.Thread(target=agent.run)
        thread.start()
        running.append((agent, thread))
        return agent

    yield begin
    for agent, _ in running:
        agent.stop()
    for _, thread in running:
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def state(pki: Pki, tmp_path: Path, broker: Broker) -> State:
    return pki.enrolled(tmp_path / "state", "meter-1", broker.port - 1)


def events(platform: Platform) -> list[Any]:
    return [parse_event(payload) for payload in platform.on("/up/event")]


def hellos(platform: Platform) -> int:
    return sum(isinstance(event, Hello) for event in events(platform))


def test_first_words_are_hello_telemetry_and_a_report(platform: Platform, state: State, start: Start) -> None:
    start(state, RunOptions(rhythm=Rhythm(0.2, 0.2), backoff=FAST.backoff))
    eventually(lambda: hellos(platform), "hello")
    eventually(lambda: platform.on("/up/telemetry/memory_percent"), "telemetry")
    report = json.loads(eventually(lambda: platform.on("/up/report"), "report")[0])
    assert report["header"]["version"] == "1.0"
    assert report["metrics"]["listening_tcp_ports"]["total"] >= 1
    sample = json.loads(platform.on("/up/telemetry/uptime_s")[0])
    assert sample["value"] > 0
    assert sample["at"].endswith("Z")


def test_nothing_is_lost_while_the_broker_goes_and_comes_back(
    broker: Broker, platform: Platform, state: State, start: Start
) -> None:
    agent = start(state)
    eventually(lambda: hellos(platform) == 1, "first hello")
    for n in range(200):  # more than the window, so that some are in flight when it dies
        agent.buffer.add(Message("d/meter-1/up/telemetry/n", b"%d" % n, Rank.TELEMETRY))
        if n == 60:
            agent.link.wake()
    platform.expect_reconnect()
    broker.stop()
    for n in range(200, 300):
        agent.buffer.add(Message("d/meter-1/up/telemetry/n", b"%d" % n, Rank.TELEMETRY))
    broker.start()
    platform.wait_ready()
    eventually(lambda: {b"%d" % n for n in range(300)} == set(platform.on("/telemetry/n")), "all three hundred")
    eventually(lambda: len(agent.buffer) == 0, "all acknowledged")
    assert agent.buffer.dropped == 0


def test_the_whole_buffer_arrives_when_it_was_filled_before_the_broker_existed(
    broker: Broker, platform: Platform, state: State, start: Start
) -> None:
    platform.expect_reconnect()
    broker.stop()
    agent = start(state)
    for n in range(500):
        agent.buffer.add(Message("d/meter-1/up/telemetry/n", b"%d" % n))
    broker.start()
    platform.wait_ready()
    eventually(lambda: len(set(platform.on("/telemetry/n"))) == 500, "all of them")
    assert [int(p) for p in platform.on("/telemetry/n")] == list(range(500))
    assert len(agent.buffer) == 0


def test_what_waits_survives_a_restart_of_the_agent(
    broker: Broker, platform: Platform, state: State, start: Start
) -> None:
    platform.expect_reconnect()
    broker.stop()
    first = Agent(state, state.settings(), SystemClock(), options=FAST)
    thread = threading.Thread(target=first.run)
    thread.start()
    for n in range(20):
        first.buffer.add(Message("d/meter-1/up/telemetry/n", b"%d" % n))
    first.stop()
    thread.join(20)
    broker.start()
    platform.wait_ready()
    start(state)
    eventually(lambda: len(platform.on("/telemetry/n")) == 20, "the twenty from before")


def test_a_command_sent_twice_is_done_once_and_answered_twice(platform: Platform, state: State, start: Start) -> None:
    agent = start(state)
    done: list[str] = []

    def count(name: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        done.append(name)
        return {"n": len(done)}

    agent.application.command = count  # type: ignore[method-assign]
    eventually(lambda: hellos(platform), "hello")
    command = Command(CommandId("cmd_1"), "count", {}, now() + timedelta(hours=1)).encode()
    platform.say("d/meter-1/down/command", command)
    platform.say("d/meter-1/down/command", command)
    answers = eventually(lambda: [e for e in events(platform) if isinstance(e, CommandResult)][:2], "answers")
    eventually(lambda: sum(isinstance(e, CommandResult) for e in events(platform)) == 2, "both answers")
    assert done == ["count"]
    assert answers[0] == CommandResult(CommandId("cmd_1"), Outcome.DONE, {"n": 1})


def test_configuration_is_applied_and_in_force_after_a_restart(platform: Platform, state: State, start: Start) -> None:
    agent = start(state)
    eventually(lambda: hellos(platform), "hello")
    platform.say("d/meter-1/down/config", DesiredConfig(4, {"telemetry_interval_s": 7}).encode())
    eventually(lambda: ConfigResult(4, Outcome.APPLIED) in events(platform), "applied")
    assert agent.application.rhythm.telemetry_interval_s == 7
    platform.say("d/meter-1/down/config", DesiredConfig(5, {"colour": "red"}).encode())
    failed = eventually(
        lambda: [e for e in events(platform) if isinstance(e, ConfigResult) and e.version == 5], "failed"
    )
    assert failed[0].status is Outcome.FAILED
    assert "colour" in failed[0].detail
    agent.stop()
    again = Agent(state, state.settings(), SystemClock(), options=FAST)
    again._orders.restore()
    assert again.application.rhythm.telemetry_interval_s == 7


def test_after_renewal_the_link_comes_back_with_the_new_certificate(
    platform: Platform, pki: Pki, state: State, start: Start
) -> None:
    agent = start(state)
    eventually(lambda: hellos(platform) == 1, "hello")
    before = state.certificate()
    fresh = pki.enrolled(state.directory, "meter-1", state.settings().door.port)
    agent.link.renew()
    eventually(lambda: hellos(platform) == 2, "second hello")
    after = fresh.certificate()
    assert before is not None
    assert after is not None
    assert after.fingerprint != before.fingerprint


def attempts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "next attempt" in r.getMessage()]


def test_a_broker_of_another_root_is_never_spoken_to(
    broker: Broker, platform: Platform, tmp_path: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ironroot.agent")
    agent = start(Pki(tmp_path).enrolled(tmp_path / "foreign", "meter-1", broker.port - 1))
    eventually(lambda: len(attempts(caplog)) >= 3, "three attempts")
    assert all("not the one this device trusts" in line for line in attempts(caplog))
    assert hellos(platform) == 0
    agent.stop()


def test_a_device_with_a_foreign_certificate_is_refused_and_backs_off(
    broker: Broker, platform: Platform, pki: Pki, tmp_path: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ironroot.agent")
    state = Pki(tmp_path).enrolled(tmp_path / "foreign", "meter-1", broker.port - 1)
    state.roots_path.write_bytes(pki.root.pem)
    agent = start(state)
    eventually(lambda: len(attempts(caplog)) >= 3, "three attempts")
    assert hellos(platform) == 0
    agent.stop()


def test_status_tells_a_running_agent_from_a_stopped_one(platform: Platform, state: State, start: Start) -> None:
    with state.lock():
        agent = start(state)
        eventually(lambda: describe(state, SystemClock())["connected"], "status says connected")
        agent.stop()
    assert describe(state, SystemClock())["running"] is False
