"""The master key in a file: 32 random bytes that only the service's own user may read.

Made once, atomically: a crash leaves either no file or a whole one, and two starters at once end with one key.
Refuses a file that is a link, somebody else's, readable or replaceable by others, or of another length: each is a
way in which a key is no longer a secret. Whoever holds this file and the store holds every key of the platform.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ironroot.core.errors import Misconfigured
from ironroot.domains.keys import envelope
from ironroot.domains.keys.model import SECRET_BYTES


class MasterKeyFile:
    """A `MasterKey` read from a file."""

    __slots__ = ("_key", "id")

    def __init__(self, master: bytes) -> None:
        """Raises ValueError for anything but 32 bytes."""
        if len(master) != SECRET_BYTES:
            raise ValueError(f"a master key has {SECRET_BYTES} bytes")
        self._key = _derive(master, b"ironroot master wrap", 32)
        self.id = int.from_bytes(_derive(master, b"ironroot master id", 4))

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> Self:
        """The key in `path`; made first when there is none and `create`. Raises Misconfigured with what to mend."""
        try:
            master = _read(path)
        except FileNotFoundError as e:
            if not create:
                raise Misconfigured(f"no master key at {path}", remedy="restore the file from a backup") from e
            _make(path)
            master = _read(path)
        return cls(master)

    def wrap(self, context: str, plaintext: bytes) -> bytes:
        """An envelope whose generation is this key's id."""
        return envelope.seal(self._key, self.id, context, plaintext, secrets.token_bytes(envelope.NONCE_BYTES))

    def unwrap(self, context: str, wrapped: bytes) -> bytes:
        """What was wrapped. Raises Corrupt, or Misconfigured when another master key wrapped it."""
        if envelope.generation(wrapped) != self.id:
            raise Misconfigured(
                "the store's keys were wrapped by another master key",
                remedy="put back the keys/master.key that belongs to this data directory",
                code="master-key",
            )
        return envelope.unseal(self._key, context, wrapped)


def _derive(master: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=info).derive(master)


def _make(path: Path) -> None:
    """Write a whole file beside, then link it into place: link(2) never replaces one that is there already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, secrets.token_bytes(SECRET_BYTES))
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(beside, path)
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as e:
        raise Misconfigured(f"cannot write {path}: {e.strerror}", remedy="make the data directory writable") from e
    finally:
        beside.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as e:
        raise Misconfigured(
            f"cannot read {path}: {e.strerror}", remedy="make it a plain file owned by the service's user"
        ) from e
    try:
        _examine(path, os.fstat(handle), path.parent.stat())
        return os.read(handle, SECRET_BYTES + 1)
    finally:
        os.close(handle)


def _examine(path: Path, file: os.stat_result, folder: os.stat_result) -> None:
    if not stat.S_ISREG(file.st_mode):
        raise Misconfigured(f"{path} is not a plain file", remedy="remove it, or restore the key from a backup")
    if file.st_uid != os.geteuid():
        raise Misconfigured(f"{path} belongs to another user", remedy=f"chown it to the service's user: {path}")
    if file.st_mode & 0o077:
        raise Misconfigured(f"{path} may be read by others", remedy=f"chmod 600 {path}", code="master-key-readable")
    if folder.st_mode & 0o022:
        raise Misconfigured(
            f"others may replace {path}", remedy=f"chmod 700 {path.parent}", code="master-key-replaceable"
        )
    if file.st_size != SECRET_BYTES:
        raise Misconfigured(f"{path} does not hold a key of 32 bytes", remedy="restore it from a backup")
