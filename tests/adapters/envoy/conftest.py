from __future__ import annotations

from collections.abc import Iterator

import pytest

from ironroot.adapters.envoy.settings import Limits
from tests.adapters.envoy.front import Front, front


@pytest.fixture(scope="session")
def door() -> Iterator[Front]:
    """Envoy with short times, so that no test waits long for a limit."""
    with front(Limits(headers_timeout_s=1, idle_timeout_s=2, request_timeout_s=3, response_timeout_s=4)) as running:
        yield running


@pytest.fixture
def own_door() -> Iterator[Front]:
    """An Envoy that a test may change."""
    with front(Limits()) as running:
        yield running
