"""Debian's mosquitto as the peer: client certificates, the certificate's name as the user, an ACL pattern.

It shows the platform's own server certificate and trusts the platform's device CA, so both brokers serve the same
devices. Persistence is on; its store is written to disk at its default interval, not before an acknowledgement.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.support.fleet import Fleet
from bench.support.processes import cpu_s, end, running, wait_for

MOSQUITTO = Path("/usr/sbin/mosquitto")
REMEDY = "mosquitto is not installed (as root: apt-get install mosquitto mosquitto-clients): nothing to compare with"


def free_port() -> int:
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Mosquitto:
    """A running broker."""

    port: int
    inner_port: int
    pid: int

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        return cpu_s([self.pid])


@contextmanager
def mosquitto(here: Path, fleet: Fleet, *, nodelay: bool, durable: bool = False) -> Iterator[Mosquitto]:
    """The broker with its files in a new directory `here`, ended with the block.

    `durable`: it saves its store at every change: the nearest it has to keeping what it acknowledged through a kill.
    """
    here.mkdir()
    port, inner = free_port(), free_port()
    (here / "acl").write_text(f"pattern readwrite d/%u/#\nuser {fleet.devices[-1].id}\ntopic read d/#\n")
    (here / "inner.acl").write_text("topic readwrite #\n")
    lines = [
        "per_listener_settings true",
        "persistence true",
        f"persistence_location {here}/",
        *(["autosave_on_changes true", "autosave_interval 1"] if durable else []),
        "max_queued_messages 0",
        "max_inflight_messages 1000",
        f"set_tcp_nodelay {'true' if nodelay else 'false'}",
        f"log_dest file {here}/log",
        *(["user root"] if os.geteuid() == 0 else []),
        f"listener {port} 127.0.0.1",
        f"cafile {fleet.device_ca}",
        f"certfile {fleet.server_certificate}",
        f"keyfile {fleet.server_key}",
        "require_certificate true",
        "use_identity_as_username true",
        "tls_version tlsv1.3",
        "allow_anonymous false",
        f"acl_file {here}/acl",
        f"listener {inner} 127.0.0.1",
        "allow_anonymous true",
        f"acl_file {here}/inner.acl",
    ]
    (here / "conf").write_text("\n".join(lines) + "\n")

    def answers() -> bool:
        with socket.socket() as one, socket.socket() as two:
            return one.connect_ex(("127.0.0.1", port)) == 0 and two.connect_ex(("127.0.0.1", inner)) == 0

    with running([str(MOSQUITTO), "-c", str(here / "conf")], here / "out") as process:
        wait_for(answers, "mosquitto listens", 10)
        yield Mosquitto(port, inner, process.pid)


class Keeper:
    """`mosquitto_sub` with a persistent session that takes everything at QoS 1 and ends after `count` messages.

    Over TLS as the fleet's last device, which may read everything; or without, on the inner listener.
    """

    def __init__(self, broker: Mosquitto, fleet: Fleet, count: int, output: Path, *, tls: bool) -> None:
        argv = ["mosquitto_sub", "-i", "keeper", "-c", "-q", "1", "-t", "d/#", "-h", "localhost"]
        if tls:
            device = fleet.devices[-1]
            argv += ["--cafile", str(fleet.roots), "--cert", str(device.certificate), "--key", str(device.key)]
        argv += ["-p", str(broker.port if tls else broker.inner_port)]
        subprocess.run([*argv, "-E"], check=True, timeout=10)  # the session exists before anybody publishes
        self._output = output
        with output.open("wb") as out:
            self.process = subprocess.Popen([*argv, "-C", str(count), "-F", "%l"], stdin=subprocess.DEVNULL, stdout=out)

    def received(self) -> int:
        """How many it took, once it has ended."""
        return self._output.read_bytes().count(b"\n")

    def close(self) -> None:
        """End it."""
        end(self.process)
