"""A configuration encrypted and authenticated on the device's disk (AES-256-GCM, one generation back).

    file   = header | nonce (12) | ciphertext | tag (16)
    header = "IRS1" | generation (8) | length of what follows (4) | HMAC-SHA256 over these, first 16 bytes

The header is authenticated on its own so that a write cut short (body missing: the previous generation is used and
`recovered` says so) can be told from bytes somebody changed (raises). Nothing on the device can tell an old copy of
both files put back together: a counter in a TPM would.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ironroot.agent.files import read_bounded, sync_directory, write_atomic
from ironroot.core.errors import Corrupt, Malformed, NotFound, TooLarge

_MAGIC = b"IRS1"
_MAC = 16
_HEADER = len(_MAGIC) + 8 + 4 + _MAC
_NONCE = 12
_TAG = 16
MAX_CONFIG_BYTES = 8 * 1024 * 1024


class _Torn(Exception):
    """The file ends before its header says so, or is not there: a write that a power cut ended."""


class SecureStorage:
    """Stores one configuration under a key.

    `key` is 32 random bytes, or a Fernet-style key: the same 32 bytes in URL-safe base64 (44 characters), as
    `Fernet.generate_key()` makes. Neither is used directly: encryption and header keys are derived (HKDF-SHA256).
    `path` defaults to `config.sealed` in the agent's state directory. Raises Malformed for any other key.
    """

    def __init__(self, key: bytes | str, path: str | os.PathLike[str] | None = None) -> None:
        if path is None:
            from ironroot.agent.state import default_directory  # noqa: PLC0415 (x509 is loaded only when needed)

            default_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
            path = default_directory() / "config.sealed"
        self._path = Path(path)
        self._previous = self._path.with_name(self._path.name + ".previous")
        derived = HKDF(hashes.SHA256(), 64, None, b"ironroot agent storage 1").derive(_key_bytes(key))
        self._cipher = AESGCM(derived[:32])
        self._header_key = derived[32:]
        self.recovered = False
        """Whether the last `load_config` had to fall back to the generation before."""

    def store_config(self, config_data: bytes) -> None:
        """Encrypt and keep `config_data`; the one before stays as the previous generation.

        Raises TooLarge over 8 MiB, Misconfigured when the disk does not take it: what was stored is then unchanged.
        """
        if len(config_data) > MAX_CONFIG_BYTES:
            raise TooLarge(f"a configuration holds at most {MAX_CONFIG_BYTES} bytes")
        generation = 1 + max(self._generation(self._path), self._generation(self._previous))
        sealed = self._seal(generation, bytes(config_data))
        staged = self._path.with_name(self._path.name + ".next")
        write_atomic(staged, sealed, private=True)
        if self._is_whole(self._path):  # never let a torn file push out the last good one
            self._path.replace(self._previous)
        staged.replace(self._path)
        sync_directory(self._path.parent)

    def load_config(self) -> bytes:
        """What was stored last.

        Raises NotFound when nothing was, Corrupt when the bytes were changed or the key is another one.
        """
        self.recovered = False
        try:
            return self._open(self._path)
        except _Torn:
            pass
        self.recovered = True
        for candidate in (self._path.with_name(self._path.name + ".next"), self._previous):
            try:
                return self._open(candidate)
            except _Torn:
                continue
        self.recovered = False
        if self._path.exists() or self._previous.exists():
            raise Corrupt(f"{self._path} was cut short, and so was the one before", remedy="store it again")
        raise NotFound(f"nothing is stored in {self._path}", remedy="store a configuration first")

    def _seal(self, generation: int, plaintext: bytes) -> bytes:
        fields = _MAGIC + generation.to_bytes(8) + (_NONCE + len(plaintext) + _TAG).to_bytes(4)
        header = fields + self._mac(fields)
        nonce = secrets.token_bytes(_NONCE)
        return header + nonce + self._cipher.encrypt(nonce, plaintext, header)

    def _open(self, path: Path) -> bytes:
        content = self._read(path)
        header, body = content[:_HEADER], content[_HEADER:]
        length = self._length(header, path)
        if len(body) < length:
            raise _Torn
        if len(body) > length:
            raise self._changed(path)
        try:
            return self._cipher.decrypt(body[:_NONCE], body[_NONCE:], header)
        except InvalidTag as e:
            raise self._changed(path) from e

    def _length(self, header: bytes, path: Path) -> int:
        if len(header) < _HEADER:
            raise _Torn
        if not hmac.compare_digest(self._mac(header[:-_MAC]), header[-_MAC:]):
            raise self._changed(path)
        return int.from_bytes(header[-_MAC - 4 : -_MAC])

    def _generation(self, path: Path) -> int:
        """The generation in a file's header, 0 where it has none that is authentic."""
        try:
            header = self._read(path)[:_HEADER]
            self._length(header, path)
        except (_Torn, Corrupt):
            return 0
        return int.from_bytes(header[len(_MAGIC) : len(_MAGIC) + 8])

    def _is_whole(self, path: Path) -> bool:
        try:
            self._open(path)
        except (_Torn, Corrupt):
            return False
        return True

    def _mac(self, fields: bytes) -> bytes:
        return hmac.digest(self._header_key, fields, "sha256")[:_MAC]

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            return read_bounded(path)
        except FileNotFoundError as e:
            raise _Torn from e

    @staticmethod
    def _changed(path: Path) -> Corrupt:
        return Corrupt(
            f"{path} is not what was stored: its bytes were changed, or the key is another one",
            remedy="check the key; if it is right, treat the device as tampered with",
        )


def _key_bytes(key: bytes | str) -> bytes:
    raw = key.encode() if isinstance(key, str) else bytes(key)
    if len(raw) == 44:
        try:
            raw = base64.b64decode(raw, altchars=b"-_", validate=True)
        except binascii.Error:
            raw = b""
    if len(raw) != 32:
        raise Malformed("a storage key is 32 bytes", remedy="give 32 random bytes, or the same in URL-safe base64")
    return raw
