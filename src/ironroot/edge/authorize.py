"""Who asks, and whether they may: the two decorators in front of every act.

    class DeviceAPI:
        @requires_auth
        @require_permission("device.read")
        async def get_device_status(self, device_id): ...

The principal of the request is in a context variable, put there by `authentication.Authentication` and by nothing
else. Both decorators work on plain functions, coroutines and methods, and leave a mark (`required_permission`)
by which a test reads the whole route table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

from ironroot.core.errors import Forbidden, Unauthenticated
from ironroot.edge.permissions import Permission

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, a program or this host's administrator, with all it may do."""

    kind: Literal["user", "apikey", "host"]
    id: str
    name: str
    role: str
    permissions: frozenset[Permission]
    session: str | None = None

    @property
    def actor(self) -> str:
        """How facts name it."""
        return f"{self.kind}/{self.id}"


_current: ContextVar[Principal | None] = ContextVar("principal", default=None)


def current_principal() -> Principal:
    """Who makes the current request. Raises Unauthenticated where nobody does."""
    principal = _current.get()
    if principal is None:
        raise Unauthenticated(
            "nobody is signed in",
            remedy="sign in at the console, or send an API key as `Authorization: Bearer ...`",
        )
    return principal


@contextmanager
def acting_as(principal: Principal | None) -> Iterator[None]:
    """Run the block as `principal`."""
    token = _current.set(principal)
    try:
        yield
    finally:
        _current.reset(token)


def requires_auth(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse callers that are nobody (Unauthenticated)."""
    return _guard(function, current_principal, "requires_authentication", value=True)


def require_permission(permission: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Refuse callers without `permission` (Forbidden). Raises ValueError at import for one that does not exist."""
    wanted = Permission(permission)

    def check() -> None:
        principal = current_principal()
        if wanted not in principal.permissions:
            raise Forbidden(
                f"{principal.role} has no permission {wanted}",
                remedy=f"ask an administrator for a role that has {wanted}",
                code="permission",
            )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return _guard(function, check, "required_permission", value=wanted)

    return decorate


def _guard(function: Callable[P, R], check: Callable[[], object], mark: str, *, value: object) -> Callable[P, R]:
    guarded: Any
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def asynchronous(*args: P.args, **kwargs: P.kwargs) -> Any:
            check()
            return await function(*args, **kwargs)

        guarded = asynchronous
    else:

        @wraps(function)
        def synchronous(*args: P.args, **kwargs: P.kwargs) -> R:
            check()
            return function(*args, **kwargs)

        guarded = synchronous
    setattr(guarded, mark, value)
    return guarded  # type: ignore[no-any-return]  # the same callable type, which no wrapper can say
