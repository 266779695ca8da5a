"""What may be shown at a door, and what is refused before Envoy sees it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from ironroot.adapters.envoy.material import KeyPair, Material, check
from ironroot.core.errors import Misconfigured
from ironroot.core.secret import Secret
from tests.support import tls

ROOT = tls.authority("Root")
SERVER_CA = tls.authority("Server CA", ROOT)
DEVICE_CA = tls.authority("Device CA", ROOT)
CONSOLE = tls.server("console", SERVER_CA)
DEVICES = tls.server("devices", SERVER_CA)


def pair(issued: tls.Issued) -> KeyPair:
    return KeyPair(issued.chain_pem, Secret(issued.key_pem))


GOOD = Material(pair(CONSOLE), pair(DEVICES), DEVICE_CA.pem + ROOT.pem)


def refused(material: Material) -> str:
    with pytest.raises(Misconfigured) as caught:
        check(material, tls.NOW)
    return str(caught.value)


def with_console(chain: bytes, key: bytes) -> Material:
    return replace(GOOD, console=KeyPair(chain, Secret(key)))


def test_good_material_is_named_by_its_fingerprints() -> None:
    checked = check(GOOD, tls.NOW)
    assert (checked.console, checked.devices) == (CONSOLE.fingerprint, DEVICES.fingerprint)


def test_a_leaf_alone_is_good_too() -> None:
    check(with_console(CONSOLE.pem, CONSOLE.key_pem), tls.NOW)


def test_each_unsound_pair_is_refused_with_its_reason() -> None:
    assert "does not belong" in refused(with_console(CONSOLE.chain_pem, DEVICES.key_pem))
    assert "no certificate" in refused(with_console(b"", CONSOLE.key_pem))
    assert "private key" in refused(with_console(CONSOLE.chain_pem, b""))
    assert "not issued by the next" in refused(with_console(CONSOLE.pem + DEVICE_CA.pem, CONSOLE.key_pem))
    late = tls.server("late", SERVER_CA, not_after=tls.NOW)
    assert "expired" in refused(with_console(late.chain_pem, late.key_pem))
    device = tls.client("dev-1", DEVICE_CA)
    assert "not for a TLS server" in refused(with_console(device.chain_pem, device.key_pem))


def test_certificate_from_the_future_is_refused() -> None:
    with pytest.raises(Misconfigured, match="not valid yet"):
        check(GOOD, tls.NOW - timedelta(days=2))


WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 (that is the point)


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), WEAK])
def test_key_that_the_front_door_would_reject_is_refused_here(
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey,
) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    assert "neither P-256" in refused(with_console(CONSOLE.chain_pem, pem))


def test_each_unsound_bundle_is_refused_with_its_reason() -> None:
    def bundle(pem: bytes) -> str:
        return refused(replace(GOOD, device_bundle_pem=pem))

    assert "no certificate" in bundle(b"")
    assert "issuer of CN=Device CA is missing" in bundle(DEVICE_CA.pem)
    assert "is not a CA" in bundle(DEVICE_CA.pem + ROOT.pem + CONSOLE.pem)
    expired = tls.authority("Old CA", ROOT, not_after=tls.NOW - timedelta(hours=1))
    assert "expired" in bundle(expired.pem + ROOT.pem)
    impostor = tls.authority("Root")
    assert "issuer of CN=Device CA is missing" in bundle(DEVICE_CA.pem + impostor.pem)
    assert "more than 64" in bundle(DEVICE_CA.pem * 65)


def test_the_key_never_shows_in_what_is_printed() -> None:
    assert "PRIVATE" not in repr(GOOD)


@given(chain=st.binary(max_size=200), key=st.binary(max_size=200), bundle=st.binary(max_size=200))
def test_any_bytes_are_refused_never_crash(chain: bytes, key: bytes, bundle: bytes) -> None:
    for material in (
        with_console(chain, key),
        with_console(CONSOLE.chain_pem, key),
        replace(GOOD, device_bundle_pem=bundle),
    ):
        refused(material)
