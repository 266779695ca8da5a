"""The domains, wired: everything that needs a store and a clock and no broker or socket.

The running platform puts doors before it (`online`); a command of this host uses it as it is between two runs
(`app.offline`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ironroot.app.clock import SystemClock
from ironroot.app.config import Config
from ironroot.app.datadir import DataDir, write_private
from ironroot.app.projections import Activity
from ironroot.core.clock import Clock
from ironroot.core.decision import Decision
from ironroot.core.ids import DeviceId
from ironroot.domains.access.service import Access, AccessSettings
from ironroot.domains.inventory.service import Inventory
from ironroot.domains.keys.master import MasterKeyFile
from ironroot.domains.keys.service import KeyRing
from ironroot.domains.messaging.courier import Courier
from ironroot.domains.messaging.ports import Downlink
from ironroot.domains.messaging.service import Messaging
from ironroot.domains.messaging.telemetry import Telemetry
from ironroot.domains.pki.model import PkiConfig, Purpose
from ironroot.domains.pki.service import Authority
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.refusals import RefusalLog
from ironroot.store.engine import Durability, Store, Tx
from ironroot.trust import tables as trust_tables
from ironroot.trust.admission import CachedAdmission
from ironroot.trust.model import Capability
from ironroot.trust.service import Trust, TrustFold

LOG_ORIGIN = "ironroot/facts"


@dataclass(frozen=True, slots=True)
class Core:
    """Every service of the platform."""

    config: Config
    clock: Clock
    store: Store
    telemetry_store: Store
    log: EventLog
    refusals: RefusalLog
    ring: KeyRing
    inventory: Inventory
    trust: Trust
    admission: CachedAdmission
    authority: Authority
    access: Access
    courier: Courier
    messaging: Messaging
    telemetry: Telemetry
    activity: Activity


class Policy:
    """Trust's word on certificates (a `pki.ports.Admission`)."""

    async def decide(self, tx: Tx, device: DeviceId, purpose: Purpose) -> Decision:
        """May this device enrol, or renew, now?"""
        known = (await trust_tables.decisions(tx.conn, [device])).get(device)
        if known is None:
            return Decision(allowed=False, reasons=("nobody registered this device",))
        wanted = Capability.ENROL if purpose == "enrol" else Capability.RENEW
        return Decision(wanted in known.capabilities, tuple(f"{known.state}: {r.text}" for r in known.reasons))


def state_url(data: Path, config: Config) -> str:
    """The address of the database with state and facts."""
    return config.store.url or f"sqlite+aiosqlite:///{data / 'state.db'}"


def telemetry_url(data: Path, config: Config) -> str:
    """The address of the database with what devices report: the same one on PostgreSQL."""
    return config.store.url or f"sqlite+aiosqlite:///{data / 'telemetry.db'}"


@asynccontextmanager
async def open_core(data: DataDir, config: Config, downlink: Downlink) -> AsyncIterator[Core]:
    """The services, their stores migrated, the keys and the hierarchy there (made on the first start)."""
    clock = SystemClock()
    durability = cast("Durability", config.store.durability)
    store = Store(state_url(data.root, config), durability=durability)
    telemetry_store = Store(telemetry_url(data.root, config), durability=durability)
    try:
        await store.migrate("state")
        await telemetry_store.migrate("telemetry")
        yield await _wire(data, config, downlink, clock, store, telemetry_store)
    finally:
        await telemetry_store.close()
        await store.close()


async def _wire(
    data: DataDir, config: Config, downlink: Downlink, clock: Clock, store: Store, telemetry_store: Store
) -> Core:
    log = EventLog(store, clock)
    ring = KeyRing(store, log, MasterKeyFile.open(data.master_key), clock)
    await ring.initialise()
    log.equip(signer=await ring.checkpoint_signer(LOG_ORIGIN), persons=ring.persons)
    refusals = RefusalLog(log, store, clock)
    fold = TrustFold(store.engine_name, clock)
    log.add_fold(fold)
    if log.key is not None and (not data.vkey.is_file() or data.vkey.read_text().strip() != str(log.key)):
        write_private(data.vkey, f"{log.key}\n".encode())
        data.vkey.chmod(0o644)
    inventory = Inventory(store, log, clock)
    authority = Authority(
        store,
        log,
        ring,
        clock,
        inventory,
        PkiConfig(
            public_url=config.plain_url(),
            device_lifetime=config.pki.device_lifetime,
            server_lifetime=config.pki.server_lifetime,
        ),
        admission=Policy(),
        refusals=refusals,
    )
    await authority.initialise()
    admission = CachedAdmission(store, clock)
    fold.on_change(admission.forget)
    courier = Courier(store, downlink, clock)
    activity = Activity(store, clock)
    log.project(activity)
    return Core(
        config=config,
        clock=clock,
        store=store,
        telemetry_store=telemetry_store,
        log=log,
        refusals=refusals,
        ring=ring,
        inventory=inventory,
        trust=Trust(store, log, clock, fold),
        admission=admission,
        authority=authority,
        access=Access(
            store,
            log,
            refusals,
            clock,
            ring.persons,
            AccessSettings(
                link_lifetime=config.access.link_lifetime,
                session_idle=config.access.session_idle,
                session_lifetime=config.access.session_lifetime,
            ),
        ),
        courier=courier,
        messaging=Messaging(store, log, clock, inventory, courier),
        telemetry=Telemetry(telemetry_store, clock),
        activity=activity,
    )
