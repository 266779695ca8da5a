"""Connections to the broker for the platform's own conversation with it: reconnecting by themselves, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import nats
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from ironroot.adapters.nats.credentials import Credentials, Role
from ironroot.core.errors import Unavailable

_log = structlog.get_logger(__name__)


async def connect(
    credentials: Credentials, role: Role, *, on_reconnect: Callable[[], Awaitable[None]], timeout_s: float = 10
) -> Client:
    """A connection as `role`. Raises Unavailable when the broker does not answer in time."""

    async def on_error(error: Exception) -> None:
        _log.warning("broker connection", role=role, error=repr(error)[:200])

    try:
        async with asyncio.timeout(timeout_s):
            return await nats.connect(
                credentials.url,
                user=role,
                password=credentials.password(role),
                name=f"platform {role}",
                inbox_prefix=f"_INBOX.{role}",
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.2,
                ping_interval=10,
                max_outstanding_pings=2,
                error_cb=on_error,
                reconnected_cb=on_reconnect,
            )
    except (TimeoutError, OSError, NatsError) as e:
        raise Unavailable("the broker does not answer", remedy="see its log in the data directory") from e


async def request(client: Client, subject: str, payload: bytes, timeout_s: float = 5.0) -> bytes:
    """One answer. Raises Unavailable."""
    try:
        return (await client.request(subject, payload, timeout=timeout_s)).data
    except (NatsError, OSError) as e:
        raise Unavailable(f"no answer on {subject}: {type(e).__name__}", remedy="it restarts by itself") from e
