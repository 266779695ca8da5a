"""Worlds for the PKI's tests: on both engines, and the quick one."""

import pytest

from ironroot.store.engine import Store
from tests.domains.pki.world import World, world


@pytest.fixture
async def both(store: Store) -> World:
    """A started authority, on each engine."""
    return await world(store)


@pytest.fixture
async def one(sqlite_store: Store) -> World:
    """A started authority, on SQLite."""
    return await world(sqlite_store)
