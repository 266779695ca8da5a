"""The device side: identity, telemetry, commands. Imports core, wire and verify, never the platform.

`DeviceAuthenticator` and `SecureStorage` are loaded when first asked for (PEP 562), so that importing the package
costs a constrained device nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ironroot.agent.authenticator import DeviceAuthenticator
    from ironroot.agent.storage import SecureStorage

__all__ = ["DeviceAuthenticator", "SecureStorage"]


def __getattr__(name: str) -> Any:
    if name == "DeviceAuthenticator":
        from ironroot.agent.authenticator import DeviceAuthenticator  # noqa: PLC0415 (loaded when asked for)

        return DeviceAuthenticator
    if name == "SecureStorage":
        from ironroot.agent.storage import SecureStorage  # noqa: PLC0415 (loaded when asked for)

        return SecureStorage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
