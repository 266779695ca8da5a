"""Writes that are whole or absent after a power cut: temporary file, fsync, rename, fsync of the directory.

Invariant: a reader sees the old bytes or the new ones, never a mixture, and a private file is never readable by
others, not even before the rename.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from ironroot.core.errors import Corrupt, Misconfigured, TooLarge

MAX_FILE_BYTES = 16 * 1024 * 1024


def write_atomic(path: Path, content: bytes, *, private: bool = False, durable: bool = True) -> None:
    """Replace `path` with `content`. `private` gives mode 0600, else 0644; `durable=False` leaves out the fsyncs.

    Raises Misconfigured when the disk is full or the directory cannot be written; `path` is then unchanged.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if private else 0o644
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        if durable:
            sync_directory(path.parent)
    except OSError as e:
        raise Misconfigured(
            f"cannot write {path}: {e.strerror or e}", remedy="free some space, or use a directory you may write"
        ) from e


def sync_directory(directory: Path) -> None:
    """Make renames in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bounded(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of `path`. Raises TooLarge past `limit`, and what `open` raises."""
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(f"{path} is over {limit} bytes")
    return content


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`, None where there is no such file. Raises Corrupt when it is not a JSON object."""
    try:
        value = json.loads(read_bounded(path))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as e:
        raise Corrupt(f"{path} is not JSON", remedy="enrol the device again") from e
    if not isinstance(value, dict):
        raise Corrupt(f"{path} does not hold an object", remedy="enrol the device again")
    return value


def write_json(path: Path, value: dict[str, Any], *, private: bool = False, durable: bool = True) -> None:
    """Replace `path` with `value` as JSON, atomically."""
    text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    write_atomic(path, text.encode(), private=private, durable=durable)
