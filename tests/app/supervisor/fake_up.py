"""`ironroot up` with children of a test: fake_up.py SCENARIO [arguments of up].

`plain`: a platform, a broker, a worker; their process ids go to DATA/pids. `web`: Envoy before a platform that serves
its process id, with certificates of this script in DATA/root.pem.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ironroot.adapters.envoy import config as envoy_config
from ironroot.adapters.envoy.material import KeyPair, Material
from ironroot.adapters.envoy.publish import _write
from ironroot.adapters.envoy.settings import DoorSettings
from ironroot.app.supervisor import main as supervisor
from ironroot.app.supervisor.notify import SOCKET_FD
from ironroot.app.supervisor.options import parse
from ironroot.app.supervisor.plan import Site, children
from ironroot.app.supervisor.spec import Backoff, ChildSpec, Connects, Notified
from ironroot.core.secret import Secret
from tests.app.supervisor.conftest import READY, STAY, action, fake
from tests.support import tls

QUICK = Backoff(first_s=0.05, most_s=0.2)


def plain(site: Site) -> list[ChildSpec]:
    pids = site.data.root / "pids"

    def note(name: str) -> str:
        return action("note", pids, f"{name} PID")

    (site.data.root / "runtime").write_text(str(site.runtime))
    return [
        ChildSpec(
            "nats",
            "message broker",
            fake(
                note("nats"), action("listen", site.nats_port), action("spawn", site.data.root / "grandchildren"), STAY
            ),
            probe=Connects((("127.0.0.1", site.nats_port),)),
            after=("platform:prepared",),
            backoff=QUICK,
        ),
        ChildSpec(
            "platform",
            "platform",
            fake(
                note("platform"),
                action("tell", "prepared"),
                action("tell", "link", "https://localhost:1/sign-in#TOKEN"),
                READY,
                STAY,
            ),
            backoff=QUICK,
        ),
        ChildSpec(
            "worker",
            "worker",
            fake(note("worker"), action("ignore", 15), READY, STAY),
            after=("nats", "platform"),
            backoff=QUICK,
            stop_timeout_s=0.3 if "quick" in sys.argv[1] else 60,
        ),
    ]


def web(site: Site) -> list[ChildSpec]:
    real = {spec.name: spec for spec in children(site)}
    ports = site.config.listen.ports
    settings = DoorSettings(site.runtime, site.data.logs, ports[0], ports[1], ports[5])
    root = tls.authority("root")
    server = tls.server("server", root)
    pair = KeyPair(server.chain_pem, Secret(server.key_pem))
    (site.data.root / "root.pem").write_bytes(root.pem)
    envoy_config.write(settings)
    _write(settings.tls_directory, "v-1", Material(pair, pair, root.pem).files())
    platform = ChildSpec(
        "platform",
        "platform",
        fake(
            action("tell", "prepared"), action("note", site.data.root / "pids", "platform PID"), action("serve", "api")
        ),
        probe=Notified(),
        env={SOCKET_FD.format("API"): str(site.descriptors["api"])},
        pass_fds=(site.descriptors["api"],),
        backoff=QUICK,
    )
    return [platform, real["envoy"]]


def broken(site: Site) -> list[ChildSpec]:
    pids = site.data.root / "pids"
    return [
        ChildSpec(
            "platform", "platform", fake(action("note", pids, "platform PID"), action("tell", "prepared"), READY, STAY)
        ),
        ChildSpec(
            "door",
            "front door",
            fake(action("say", "no such key"), action("exit", 1)),
            after=("platform",),
            backoff=QUICK,
        ),
    ]


if __name__ == "__main__":
    scenario = {"plain": plain, "plain-quick": plain, "web": web, "broken": broken}[sys.argv[1]]
    sys.path.insert(0, str(Path(__file__).parents[3]))
    sys.exit(supervisor.run(parse(sys.argv[2:]), scenario))
