from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.nats import Hall, Platform, hall, platform


@pytest.fixture(scope="module")
def broker_hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """A nats-server for one module."""
    with hall(tmp_path_factory.mktemp("nats")) as made:
        yield made


@pytest.fixture(scope="module")
async def door(broker_hall: Hall) -> AsyncIterator[Platform]:
    """A nats-server with the platform's half, for one module."""
    async with platform(broker_hall) as made:
        yield made


@pytest.fixture
def own_hall(tmp_path: Path) -> Iterator[Hall]:
    """A nats-server that a test may break."""
    with hall(tmp_path) as made:
        yield made


@pytest.fixture
async def own_door(own_hall: Hall) -> AsyncIterator[Platform]:
    """One with the platform's half, to break."""
    async with platform(own_hall) as made:
        yield made
