from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.broker import Broker
from tests.agent.est_server import EstServer
from tests.agent.pki import Pki
from tests.simulator.stand_in import HostSocket, Nats


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def est(pki: Pki) -> Iterator[EstServer]:
    server = EstServer(pki)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def host(est: EstServer) -> Iterator[HostSocket]:
    host = HostSocket(est)
    yield host
    host.close()


@pytest.fixture
def broker(tmp_path: Path, pki: Pki) -> Iterator[Broker]:
    broker = Broker(tmp_path, pki)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def nats(tmp_path: Path, pki: Pki) -> Iterator[Nats]:
    nats = Nats(tmp_path, pki)
    yield nats
    nats.close()
