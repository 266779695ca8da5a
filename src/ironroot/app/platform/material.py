"""What the doors show and verify: written for nats-server and Envoy from the one authority, and renewed in time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from ironroot.adapters.envoy import config as envoy_config
from ironroot.adapters.envoy.material import KeyPair, Material
from ironroot.adapters.envoy.publish import NotTaken, Publisher
from ironroot.adapters.envoy.settings import DoorSettings
from ironroot.adapters.nats import config as nats_config
from ironroot.adapters.nats.config import BrokerSettings
from ironroot.adapters.nats.credentials import Credentials
from ironroot.app.datadir import write_private
from ironroot.app.platform.core import Core
from ironroot.core.errors import IronrootError
from ironroot.domains.pki.model import Reason
from ironroot.eventlog.model import PLATFORM

LOOK_EVERY = timedelta(minutes=10)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything of one run lies."""

    runtime: Path
    logs: Path
    jetstream: Path
    nats_port: int

    @property
    def broker_log(self) -> Path:
        """nats-server's log, which says what devices tried."""
        return self.logs / "nats-server.log"

    @property
    def nats_pid(self) -> Path:
        """nats-server's process."""
        return self.runtime / "nats.pid"

    @property
    def nats_tls(self) -> Path:
        """nats-server's key material."""
        return self.runtime / "nats"


class DoorMaterial:
    """Writes the doors' configuration once, and their key material whenever it changes."""

    def __init__(self, site: Site, core: Core, credentials: Credentials) -> None:
        config = core.config
        ports = config.listen.ports
        self.site = site
        self._core = core
        self._credentials = credentials
        self._settings = DoorSettings(
            runtime=site.runtime,
            logs=site.logs,
            console_port=ports[0],
            devices_port=ports[1],
            plain_port=ports[5],
            listen=config.listen.address,
        )
        self._broker = BrokerSettings(
            port=site.nats_port,
            mqtt_address=config.listen.address,
            mqtt_port=ports[2],
            tls=site.nats_tls,
            store=site.jetstream,
            log_file=site.broker_log,
            pid_file=site.nats_pid,
            durability="power" if config.store.durability == "power" else "process",
            messages_bytes=config.messaging.stream_bytes,
        )
        self._publisher = Publisher(self._settings, core.clock)

    async def write(self) -> None:
        """Everything nats-server and Envoy need to start. Raises Fault, OSError."""
        envoy_config.write(self._settings)
        nats_config.write(self.site.runtime / "nats.conf", self._broker, self._credentials)
        write_private(self.site.runtime / "roots.pem", self._core.authority.roots_pem())
        await self._publish()

    async def _publish(self) -> bool:
        """Put the current material before the doors; whether it was new to them."""
        authority = self._core.authority
        identity = await authority.server_certificate(self._core.config.server_names())
        pair = KeyPair(identity.chain_pem, identity.key_pem)
        bundle = authority.device_bundle_pem()
        await self._publisher.publish(Material(pair, pair, bundle))
        files = {"server.crt": identity.chain_pem, "server.key": identity.key_pem.reveal(), "ca.pem": bundle}
        return await asyncio.to_thread(_replace, self.site.nats_tls, files)

    async def _renewed(self) -> bool:
        """Publish; a pair that the front door would not take is never offered again, another one is."""
        try:
            return await self._publish()
        except NotTaken as e:
            _log.warning("the front door refused a key pair: another one is issued", error=e.message)
            refused = await self._core.authority.server_certificate(self._core.config.server_names())
            await self._core.authority.revoke(refused.serial, Reason.SUPERSEDED, PLATFORM)
            return await self._publish()

    async def run(self) -> None:
        """Renew in time, for ever: doors keep their live connections."""
        while True:
            await asyncio.sleep(LOOK_EVERY.total_seconds())
            try:
                if await self._renewed():
                    nats_config.reload(self.site.nats_pid)
                    _log.info("the doors show new certificates")
            except (IronrootError, OSError) as e:
                _log.error("the doors' certificates could not be renewed; tried again", error=str(e))


def _replace(folder: Path, files: dict[str, bytes]) -> bool:
    """Write what differs; the key last but one, the certificate last, each as a whole."""
    folder.mkdir(mode=0o700, exist_ok=True)
    changed = False
    for name in ("ca.pem", "server.key", "server.crt"):
        path = folder / name
        if not path.is_file() or path.read_bytes() != files[name]:
            write_private(path, files[name])
            changed = True
    return changed
