"""What the platform asks of the device: a desired configuration and commands, each done at most once.

They arrive at QoS 0 and are sent again until answered, so the last 256 answers are kept on disk and given again.
A command is recorded before it runs: if the device dies inside one (a reboot, say), the resent command is answered
`failed: interrupted` and not run again. Otherwise one bad command could keep a device rebooting for ever.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ironroot.agent.files import read_json, write_json
from ironroot.core.clock import Clock
from ironroot.core.errors import Corrupt, Fault, IronrootError, Refused
from ironroot.core.ids import CommandId, DeviceId
from ironroot.wire import topics
from ironroot.wire.messages import CommandResult, ConfigResult, Event, Outcome, parse_command, parse_config

log = logging.getLogger("ironroot.agent")

MAX_REMEMBERED = 256
MAX_RESULT_BYTES = 4096
MAX_DETAIL = 500


class Application(Protocol):
    """What the device does; it says no by raising `core.errors.Refused`."""

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take over a whole configuration, or raise and leave the old one in force."""
        ...

    def command(self, name: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one thing and return its result: a JSON object, small."""
        ...


class Orders:
    """Handles what arrives below `d/ID/down/`. Used by one thread."""

    def __init__(
        self, device: DeviceId, directory: Path, application: Application, clock: Clock, *, durable: bool = True
    ) -> None:
        self._device = device
        self._application = application
        self._clock = clock
        self._durable = durable
        self._config_path = directory / "config.json"
        self._commands_path = directory / "commands.json"
        self._answers = self._load_answers()
        self.config_version = 0

    def restore(self) -> None:
        """Apply the configuration of the last run again; a damaged one is left out, the platform sends it anew."""
        try:
            stored = read_json(self._config_path)
        except Corrupt as e:
            log.warning("stored configuration dropped: %s", e)
            return
        match stored:
            case {"version": int(version), "config": dict(config)}:
                try:
                    self._application.configure(config)
                except Refused as e:
                    log.warning("stored configuration %d no longer applies: %s", version, e)
                else:
                    self.config_version = version

    def handle(self, topic: str, payload: bytes) -> Event | None:
        """The answer to one message, None to what is no order. Never raises for what the message says."""
        try:
            if topic == topics.config_topic(self._device):
                return self._configure(payload)
            if topic == topics.command_topic(self._device):
                return self._command(payload)
        except Refused as e:
            log.warning("ignored a message on %s: %s", topic, e)
            return None
        log.debug("ignored a message on %s", topic)
        return None

    def _configure(self, payload: bytes) -> ConfigResult:
        desired = parse_config(payload)
        if desired.version == self.config_version:
            return ConfigResult(desired.version, Outcome.APPLIED)
        if desired.version < self.config_version:
            return ConfigResult(desired.version, Outcome.FAILED, f"older than version {self.config_version}, in force")
        try:
            self._application.configure(desired.config)
        except IronrootError as e:
            return ConfigResult(desired.version, Outcome.FAILED, _short(e))
        except Exception as e:
            log.exception("configuration %d", desired.version)
            return ConfigResult(desired.version, Outcome.FAILED, type(e).__name__)
        self.config_version = desired.version
        value = {"version": desired.version, "config": dict(desired.config)}
        try:
            write_json(self._config_path, value, private=True, durable=self._durable)  # it may hold secrets
        except Fault as e:
            log.warning("configuration %d is in force until the next restart only: %s", desired.version, e)
        return ConfigResult(desired.version, Outcome.APPLIED)

    def _command(self, payload: bytes) -> CommandResult:
        command = parse_command(payload)
        known = self._answers.get(command.id)
        if known is not None:
            return known
        if self._clock.now() >= command.expires_at:
            return self._answer(CommandResult(command.id, Outcome.REFUSED, {"reason": "expired"}))
        try:
            self._remember(CommandResult(command.id, Outcome.FAILED, {"reason": "interrupted"}))
        except Fault as e:  # what cannot be recorded cannot be done at most once
            return CommandResult(command.id, Outcome.FAILED, {"reason": _short(e)})
        return self._answer(self._run(command.id, command.name, command.args))

    def _run(self, id_: CommandId, name: str, args: Mapping[str, Any]) -> CommandResult:
        try:
            result = dict(self._application.command(name, args))
            if len(json.dumps(result, allow_nan=False)) > MAX_RESULT_BYTES:
                result = {"reason": "result too large to keep"}
        except Refused as e:
            return CommandResult(id_, Outcome.REFUSED, {"reason": _short(e)})
        except Exception as e:
            log.exception("command %s", name)
            return CommandResult(
                id_, Outcome.FAILED, {"reason": _short(e) if isinstance(e, IronrootError) else type(e).__name__}
            )
        return CommandResult(id_, Outcome.DONE, result)

    def _answer(self, answer: CommandResult) -> CommandResult:
        try:
            self._remember(answer)
        except Fault as e:
            log.warning("the answer to %s is kept in memory only: %s", answer.id, e)
        return answer

    def _remember(self, answer: CommandResult) -> None:
        self._answers[answer.id] = answer
        self._answers.move_to_end(answer.id)
        while len(self._answers) > MAX_REMEMBERED:
            self._answers.popitem(last=False)
        rows = [{"id": a.id, "status": a.status, "result": dict(a.result)} for a in self._answers.values()]
        write_json(self._commands_path, {"answers": rows}, private=True, durable=self._durable)

    def _load_answers(self) -> OrderedDict[CommandId, CommandResult]:
        try:
            stored = read_json(self._commands_path) or {}
            rows = [
                CommandResult(CommandId(str(row["id"])), Outcome(row["status"]), dict(row["result"]))
                for row in stored.get("answers", [])
            ]
        except (Corrupt, KeyError, TypeError, ValueError) as e:
            # Fail closed would mean no command ever again; what was done before is only protected by expiry then.
            log.warning("the record of commands was damaged and starts anew: %s", e)
            rows = []
        return OrderedDict((row.id, row) for row in rows)


def _short(error: IronrootError) -> str:
    return (error.message + (f" ({error.remedy})" if error.remedy else ""))[:MAX_DETAIL]
