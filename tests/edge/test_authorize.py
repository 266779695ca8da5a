"""The decorators of the brief's DeviceAPI, and what a front door's header may say."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from ironroot.core.errors import Forbidden, Malformed, Unauthenticated
from ironroot.edge.authorize import Principal, acting_as, require_permission, requires_auth
from ironroot.edge.peer import CERTIFICATE_HEADER, client_certificate
from ironroot.edge.permissions import Permission

HASH = "ab" * 32


def principal(*permissions: Permission) -> Principal:
    return Principal("user", "usr_x", "somebody", "custom", frozenset(permissions))


class DeviceAPI:
    @requires_auth
    @require_permission("device.read")
    def get_device_status(self, device_id: str) -> str:
        return f"status of {device_id}"

    @requires_auth
    @require_permission("device.write")
    async def update_device_config(self, device_id: str, config: dict[str, int]) -> str:
        return f"{device_id} {config}"


def test_nobody_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        DeviceAPI().get_device_status("meter-1")


def test_the_permission_is_needed() -> None:
    with acting_as(principal(Permission.DEVICE_WRITE)), pytest.raises(Forbidden):
        DeviceAPI().get_device_status("meter-1")
    with acting_as(principal(Permission.DEVICE_READ)):
        assert DeviceAPI().get_device_status("meter-1") == "status of meter-1"


async def test_coroutines_too() -> None:
    with acting_as(principal(Permission.DEVICE_READ)), pytest.raises(Forbidden):
        await DeviceAPI().update_device_config("meter-1", {})
    with acting_as(principal(Permission.DEVICE_WRITE)):
        assert await DeviceAPI().update_device_config("meter-1", {"a": 1}) == "meter-1 {'a': 1}"


def test_a_permission_nobody_knows_does_not_import() -> None:
    with pytest.raises(ValueError, match=r"device\.fly"):
        require_permission("device.fly")


def test_the_principal_ends_with_its_request() -> None:
    with acting_as(principal(Permission.DEVICE_READ)):
        pass
    with pytest.raises(Unauthenticated):
        DeviceAPI().get_device_status("meter-1")


def headers(*values: str) -> Headers:
    return Headers(raw=[(CERTIFICATE_HEADER.encode(), v.encode()) for v in values])


def test_the_front_doors_header() -> None:
    found = client_certificate(headers(f'Hash={HASH};Cert="a%20b";Subject="CN=x,O=y"'))
    assert found is not None
    assert (found.fingerprint, found.pem) == (HASH, "a b")
    assert client_certificate(headers()) is None


@pytest.mark.parametrize(
    "forged",
    [
        [f"Hash={HASH}", f"Hash={HASH}"],
        [f'By=spiffe://x;Hash={HASH};Subject="CN=x"'],
        [f'Hash={HASH};Subject="CN=x",Hash={"cd" * 32};Subject="CN=y"'],
        [f"Hash={HASH[:-1]}"],
        [f"hash={HASH}"],
        [""],
    ],
)
def test_forged_certificate_header_is_refused(forged: list[str]) -> None:
    with pytest.raises(Malformed):
        client_certificate(headers(*forged))
