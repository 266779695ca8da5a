"""Signed notes and log checkpoints, as C2SP defines them: `signed-note` and `tlog-checkpoint`, with Ed25519.

A note is text that ends in a newline, an empty line, and one line for each signature:
`— NAME base64(key id, 4 bytes || signature, 64 bytes)`. A checkpoint is a note of three lines: the log's origin,
its size, the base64 of its Merkle root. A verification key is written `NAME+hex(key id)+base64(0x01 || key)`.

Strict: bytes that mean the same and are written differently are refused (base64 is decoded and encoded again).
Nothing here knows whether a checkpoint is the newest one; compare it with one kept elsewhere for that.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ironroot.core.errors import Malformed, Refused

MAX_NOTE_BYTES = 65_536
MAX_SIGNATURES = 16
_ED25519 = b"\x01"
_KEY_NAME = re.compile(r"[^\s+\x00-\x1f\x7f\ud800-\udfff]{1,255}")
_NOT_IN_A_NOTE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


class BadSignature(Refused):
    """A note that the key did not sign, or a text that is not the one it signed."""

    code = "signature"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """An Ed25519 public key (32 bytes) and the name it signs under."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        """Raises Malformed for a name that notes cannot carry or a key that is not 32 bytes."""
        if _KEY_NAME.fullmatch(self.name) is None:
            raise Malformed(f"not a key name: {self.name[:80]!r}", remedy="no spaces, no +, at most 255 characters")
        if len(self.public) != 32:
            raise Malformed("an Ed25519 public key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart; they prove nothing."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        """The key as people pass it on."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key written in `text`, surrounding white space allowed. Raises Malformed."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise Malformed("not a verification key", remedy="a key looks like NAME+1a2b3c4d+AX...")
        key = _base64(parts[2], "the key")
        if key[:1] != _ED25519:
            raise Malformed("not an Ed25519 key")
        parsed = cls(parts[0], key[1:])
        if parsed.key_id.hex() != parts[1]:
            raise Malformed("the key does not match its id", remedy="copy the whole line again")
        return parsed


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: `size` entries under `root` (32 bytes), for the log named `origin`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint in a note's text; extension lines are refused. Raises Malformed."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise Malformed("a checkpoint has three lines: origin, size, root")
        if _SIZE.fullmatch(lines[1]) is None:
            raise Malformed("a checkpoint's size is a decimal number")
        root = _base64(lines[2], "the root")
        if len(root) != 32:
            raise Malformed("a checkpoint's root has 32 bytes")
        return cls(lines[0], int(lines[1]), root)


def sign(text: str, key: VerifierKey, signature_of: Callable[[bytes], bytes]) -> str:
    """The note of `text` signed by `key`; `signature_of` makes the Ed25519 signature. Raises Malformed for text
    a note cannot hold.
    """
    _check_text(text)
    blob = b64encode(key.key_id + signature_of(text.encode())).decode()
    return f"{text}\n— {key.name} {blob}\n"


def verify(note: str, key: VerifierKey, *, alone: bool = False) -> str:
    """The text of a note that `key` signed. With `alone`, that signature must be the only one, so that every byte
    of the note is accounted for. Raises Malformed or BadSignature.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise Malformed("the note is too long")
    text, gap, block = note.rpartition("\n\n")
    text += "\n"
    if not gap or not block.endswith("\n"):
        raise Malformed("not a signed note")
    _check_text(text)
    signatures = [_signature(line) for line in block[:-1].split("\n")]
    if len(signatures) > MAX_SIGNATURES or (alone and len(signatures) != 1):
        raise Malformed("more signatures than expected")
    ours = [blob[4:] for name, blob in signatures if name == key.name and compare_digest(blob[:4], key.key_id)]
    if len(ours) != 1:
        raise BadSignature(
            f"not signed by the key {key.name}+{key.key_id.hex()}", remedy="check that the key is the log's own"
        )
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(ours[0], text.encode())
    except InvalidSignature as e:
        raise BadSignature(f"the signature of {key.name} does not cover this text") from e
    return text


def verify_checkpoint(note: str, key: VerifierKey, *, alone: bool = False) -> Checkpoint:
    """The checkpoint that `key` signed for the log of its own name. Raises Malformed or BadSignature."""
    checkpoint = Checkpoint.parse(verify(note, key, alone=alone))
    if checkpoint.origin != key.name:
        raise BadSignature(f"a checkpoint of another log: {checkpoint.origin[:80]!r}")
    return checkpoint


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or _KEY_NAME.fullmatch(parts[1]) is None:
        raise Malformed("not a signature line")
    blob = _base64(parts[2], "the signature")
    if len(blob) < 5:
        raise Malformed("a signature is longer than its key id")
    return parts[1], blob


def _check_text(text: str) -> None:
    if not text.endswith("\n") or len(text) < 2:
        raise Malformed("a note's text ends in a newline")
    if _NOT_IN_A_NOTE.search(text) is not None:
        raise Malformed("a note holds no control characters")


def _base64(text: str, what: str) -> bytes:
    """Standard base64 in its one spelling: b64decode forgives bits after the last byte, we do not."""
    try:
        data = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise Malformed(f"{what} is not base64") from e
    if b64encode(data).decode() != text:
        raise Malformed(f"{what} is not base64 as it is written")
    return data
