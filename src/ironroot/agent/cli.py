"""`ironroot agent enrol|run|status`: exit status 0 done, 1 refused or failed, 2 wrong usage.

With `--json` the answer is one JSON object on standard output, an error a problem document on standard error.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ironroot import __version__
from ironroot.core.errors import IronrootError, Unauthenticated

_CLAIM_VARIABLE = "IRONROOT_CLAIM"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says. Returns the exit status; raises SystemExit(2) for wrong usage."""
    options = _parser().parse_args(argv)
    try:
        status: int = options.do(options)
    except IronrootError as e:
        _complain(e, as_json=options.json)
        return 1
    except KeyboardInterrupt:
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ironroot agent", description="The device side of Ironroot.")
    parser.add_argument("--version", action="version", version=f"ironroot agent {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    enrol = commands.add_parser("enrol", help="exchange a claim for this device's certificate")
    enrol.add_argument("--server", required=True, metavar="URL", help="the device door, https://HOST:8444")
    enrol.add_argument("--device", required=True, metavar="ID", help="the device's id")
    enrol.add_argument(
        "--claim",
        metavar="C",
        help=f"the one-time claim; '-' reads it from standard input, {_CLAIM_VARIABLE} from the environment"
        " (both keep it out of the process list)",
    )
    trust = enrol.add_mutually_exclusive_group()
    trust.add_argument("--ca", type=Path, metavar="FILE", help="the platform's roots (`ironroot ca export`)")
    trust.add_argument("--fingerprint", metavar="SHA256", help="the root's fingerprint, to fetch it and compare")
    _common(enrol)
    enrol.set_defaults(do=_enrol)

    run = commands.add_parser("run", help="stay connected, send telemetry, obey, renew the certificate")
    run.add_argument(
        "--mqtt",
        metavar="HOST:PORT",
        help="the MQTT door, where it is not the HTTPS door's port + 1, or 8883 beside 8444",
    )
    run.add_argument("--verbose", action="store_true", help="say more on standard error")
    _common(run)
    run.set_defaults(do=_run)

    status = commands.add_parser("status", help="who this device is; exit status 1 without a valid certificate")
    _common(status)
    status.set_defaults(do=_status)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", type=Path, metavar="DIR", help="the device's state (default: IRONROOT_STATE, ...)")
    parser.add_argument("--json", action="store_true", help="answers for programs")


def _enrol(options: argparse.Namespace) -> int:
    from ironroot.agent import est  # noqa: PLC0415 (a usage error costs no cryptography)
    from ironroot.agent.clock import SystemClock  # noqa: PLC0415 (as above)
    from ironroot.agent.enrol import enrol  # noqa: PLC0415 (as above)
    from ironroot.agent.state import State, default_directory  # noqa: PLC0415 (as above)
    from ironroot.core.clock import rfc3339  # noqa: PLC0415 (as above)
    from ironroot.core.ids import device_id  # noqa: PLC0415 (as above)

    device = device_id(options.device)
    state = State(options.state or default_directory())
    certificate = enrol(
        state,
        server=options.server,
        device=device,
        claim=est.claim_from(_claim_text(options.claim)),
        clock=SystemClock(),
        ca=options.ca,
        fingerprint=options.fingerprint,
    )
    _answer(
        {
            "device": device,
            "state": str(state.directory),
            "certificate": {
                "serial": certificate.serial,
                "fingerprint": certificate.fingerprint,
                "not_before": rfc3339(certificate.not_before),
                "not_after": rfc3339(certificate.not_after),
            },
        },
        f"{device} is enrolled until {certificate.not_after:%Y-%m-%d %H:%M} UTC."
        f"\nNext: ironroot agent run --state {state.directory}",
        as_json=options.json,
    )
    return 0


def _run(options: argparse.Namespace) -> int:
    from ironroot.agent.clock import SystemClock  # noqa: PLC0415 (as above)
    from ironroot.agent.http import host_port  # noqa: PLC0415 (as above)
    from ironroot.agent.run import Agent  # noqa: PLC0415 (as above)
    from ironroot.agent.state import Settings, State, default_directory, mqtt_port  # noqa: PLC0415 (as above)

    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    state = State(options.state or default_directory())
    settings = state.settings()
    if options.mqtt:
        host_port(options.mqtt, mqtt_port(settings.door.port))
        settings = Settings(settings.device, settings.server, options.mqtt)
    with state.lock():
        agent = Agent(state, settings, SystemClock())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: agent.stop())
        agent.run()
    return 0


def _status(options: argparse.Namespace) -> int:
    from ironroot.agent.clock import SystemClock  # noqa: PLC0415 (as above)
    from ironroot.agent.state import State, default_directory  # noqa: PLC0415 (as above)
    from ironroot.agent.status import describe  # noqa: PLC0415 (as above)

    status: dict[str, Any] = describe(State(options.state or default_directory()), SystemClock())
    certificate = status["certificate"]
    valid = certificate is not None and not certificate["expired"]
    connection = "connected" if status["connected"] else str(status.get("detail") or "not connected")
    lines = [
        f"device       {status['device']}",
        f"server       {status['server']}",
        f"mqtt         {status['mqtt']}",
        f"agent        {connection if status['running'] else 'not running'}",
        f"certificate  {certificate['serial']}, until {certificate['not_after']}, renewed at {certificate['renewal_at']}"
        if valid
        else "certificate  none that is valid: enrol again with a new claim",
    ]
    _answer(status, "\n".join(lines), as_json=options.json)
    return 0 if valid else 1


def _claim_text(given: str | None) -> str:
    if given == "-":
        return sys.stdin.readline(1024)
    text = given if given is not None else os.environ.get(_CLAIM_VARIABLE, "")
    if not text:
        raise Unauthenticated(
            "no claim", remedy=f"give --claim, pipe it in with --claim -, or set {_CLAIM_VARIABLE}", code="no-claim"
        )
    return text


def _answer(value: dict[str, Any], text: str, *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(value) if as_json else text) + "\n")


def _complain(error: IronrootError, *, as_json: bool) -> None:
    if as_json:
        problem = {
            "type": f"urn:ironroot:problem:{error.error_code}",
            "title": type(error).__name__,
            "detail": error.message,
            "remedy": error.remedy,
        }
        sys.stderr.write(json.dumps(problem) + "\n")
        return
    sys.stderr.write(f"ironroot agent: {error.message}\n" + (f"  {error.remedy}\n" if error.remedy else ""))


if __name__ == "__main__":
    raise SystemExit(main())
