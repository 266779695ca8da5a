"""The device's private key behind one port: a file now, a TPM later.

A key pair becomes the device's only after a certificate for it has arrived: `prepare` makes the next pair and keeps
it durably, `promote` puts it in the place of the current one. A power cut between the two loses neither
(`state.State.recover`). The key never leaves the device; the platform sees a signing request.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ironroot.agent.files import read_bounded, sync_directory, write_atomic
from ironroot.core.errors import Corrupt, Misconfigured

MAX_KEY_BYTES = 16_384


class KeyPort(Protocol):
    """Where the device's key lives. A TPM's implementation returns a key whose `sign` asks the chip."""

    @property
    def tls_path(self) -> Path:
        """The file the TLS library is given: the key, or a TPM's wrapped handle of it."""
        ...

    def prepare(self) -> ec.EllipticCurvePrivateKey:
        """The next key pair, P-256, kept durably; the same one again until it is promoted."""
        ...

    def promote(self) -> None:
        """Make the next key pair the current one. Doing it twice is harmless."""
        ...

    def current_public(self) -> bytes | None:
        """SubjectPublicKeyInfo (DER) of the current key, None before there is one."""
        ...

    def next_public(self) -> bytes | None:
        """SubjectPublicKeyInfo (DER) of the next key, None where there is none."""
        ...


class FileKeys:
    """`KeyPort` with PKCS#8 files of mode 0600: as safe as the account that runs the agent."""

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self._current = directory / "key.pem"
        self._next = directory / "key.next.pem"
        self._durable = durable

    @property
    def tls_path(self) -> Path:
        """The current key's file."""
        return self._current

    def prepare(self) -> ec.EllipticCurvePrivateKey:
        """The next key pair. A request whose answer was lost is thus asked again for the same key."""
        key = _load(self._next)
        if key is None:
            key = ec.generate_private_key(ec.SECP256R1())
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            write_atomic(self._next, pem, private=True, durable=self._durable)
        return key

    def promote(self) -> None:
        """Rename the next key over the current one."""
        try:
            self._next.replace(self._current)
        except FileNotFoundError:
            return
        if self._durable:
            sync_directory(self._current.parent)

    def current_public(self) -> bytes | None:
        """The current public key."""
        return _public(_load(self._current))

    def next_public(self) -> bytes | None:
        """The next public key."""
        return _public(_load(self._next))


def _load(path: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        mode = path.stat().st_mode
        pem = read_bounded(path, MAX_KEY_BYTES)
    except FileNotFoundError:
        return None
    except OSError as e:
        raise Misconfigured(
            f"cannot read {path}: {e.strerror}", remedy="run as the user who enrolled the device"
        ) from e
    if mode & 0o077:
        raise Misconfigured(f"{path} can be read by others", remedy=f"chmod 600 {path}, or enrol the device again")
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as e:
        raise Corrupt(f"{path} holds no private key", remedy="enrol the device again with a new claim") from e
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Corrupt(f"{path} is not a P-256 key", remedy="enrol the device again with a new claim")
    return key


def _public(key: ec.EllipticCurvePrivateKey | None) -> bytes | None:
    if key is None:
        return None
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
