from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.broker import Broker, Platform
from tests.agent.est_server import EstServer
from tests.agent.pki import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def broker(tmp_path: Path, pki: Pki) -> Iterator[Broker]:
    broker = Broker(tmp_path, pki)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def platform(broker: Broker, pki: Pki, tmp_path: Path) -> Iterator[Platform]:
    platform = Platform(broker, pki, tmp_path)
    yield platform
    platform.close()


@pytest.fixture
def est(pki: Pki) -> Iterator[EstServer]:
    server = EstServer(pki, {"meter-1": "claim-of-meter-1"})
    server.start()
    yield server
    server.stop()
