"""Offline verification of an exported fact log: the export and the log's public key, nothing else.

An export is UTF-8 text, one canonical JSON value per line, each line ended by a newline:

    {"format":"ironroot-facts/1","origin":NAME}                          first line
    {"actor","at","body","hash","id","kind","prev","seq","subject"}      a fact; seq counts from 1
    {"checkpoint":NOTE}                                                  last line

`hash` is SHA-256(prev || canonical record), where the record is the fact without `hash` and `prev`; the signed
checkpoint (`verify.note`) holds the Merkle root over all hashes. So every byte of the file is covered: by its
canonical form, by the hash of its fact, or by the signature. A log that was cut back, or rewritten and signed
again by somebody who holds the key, shows only against an older checkpoint kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest
from typing import BinaryIO

from ironroot.core import merkle
from ironroot.core.canonical import Json, decode
from ironroot.core.chain import GENESIS, link
from ironroot.core.errors import Refused
from ironroot.verify.note import BadSignature, Checkpoint, VerifierKey, verify_checkpoint

FORMAT = "ironroot-facts/1"
MAX_LINE_BYTES = 1_048_576
_FACT_FIELDS = {"seq", "id", "at", "kind", "subject", "actor", "body", "prev", "hash"}


class Finding(StrEnum):
    """What is wrong with a log."""

    CHANGED = "changed"
    DROPPED = "dropped"
    REORDERED = "reordered"
    REPEATED = "repeated"
    CUT_BACK = "cut back"
    ADDED = "added"
    REWRITTEN = "rewritten"
    SIGNATURE = "signature"


class LogNotVerified(Refused):
    """The export is not what the log's key signed. `finding` says what, `line` (from 1) and `seq` where."""

    code = "log-not-verified"

    def __init__(self, finding: Finding, message: str, *, line: int, seq: int | None = None) -> None:
        place = f"line {line}" if seq is None else f"line {line}, fact {seq}"
        super().__init__(
            f"{place}: {finding}: {message}",
            remedy="compare with another copy of the export; if the platform's own log fails, treat it as an incident",
        )
        self.finding = finding
        self.line = line
        self.seq = seq


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """An export in which every byte is accounted for. `head` is the last fact's hash (zeros: no facts)."""

    facts: int
    head: bytes
    checkpoint: Checkpoint


@dataclass(slots=True)
class _Chain:
    """How far the facts have been followed."""

    seq: int = 0
    head: bytes = GENESIS
    frontier: merkle.Frontier = merkle.Frontier()  # noqa: RUF009 (immutable)
    older: bytes | None = None


def verify(export: BinaryIO, key: VerifierKey, *, older: str | None = None) -> VerifiedLog:
    """What the export proves under `key`; with `older`, a checkpoint note kept from before, also that the log only
    grew since. Reads the stream once, in constant memory.

    Raises LogNotVerified naming the place; for `older`, Malformed or BadSignature when it is not the key's.
    """
    before = verify_checkpoint(older, key) if older is not None else None
    lines = _lines(export)
    _header(next(lines, None), key)
    chain = _Chain(older=merkle.EMPTY if before is not None and before.size == 0 else None)
    for number, raw in lines:
        value = _object(number, raw, chain.seq)
        if value.keys() == {"checkpoint"}:
            checkpoint = _checkpoint(number, value, chain, key)
            for extra, _ in lines:
                raise LogNotVerified(Finding.ADDED, "something follows the checkpoint", line=extra)
            if before is not None:
                _grew(before, chain, number)
            return VerifiedLog(chain.seq, chain.head, checkpoint)
        _fact(number, value, chain, lines)
        if before is not None and chain.seq == before.size:
            chain.older = chain.frontier.root()
    raise LogNotVerified(
        Finding.CUT_BACK, "the file ends without its checkpoint", line=chain.seq + 2, seq=chain.seq + 1
    )


def _lines(export: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while raw := export.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise LogNotVerified(Finding.CHANGED, "the line is too long", line=number)
        if not raw.endswith(b"\n"):
            raise LogNotVerified(Finding.CUT_BACK, "the file ends inside a line", line=number)
        yield number, raw[:-1]


def _object(number: int, raw: bytes, after: int) -> dict[str, Json]:
    try:
        value = decode(raw)
    except Refused as e:
        raise LogNotVerified(Finding.CHANGED, e.message, line=number, seq=after + 1) from e
    if not isinstance(value, dict):
        raise LogNotVerified(Finding.CHANGED, "not a fact", line=number, seq=after + 1)
    return value


def _header(first: tuple[int, bytes] | None, key: VerifierKey) -> None:
    if first is None:
        raise LogNotVerified(Finding.CUT_BACK, "the file is empty", line=1)
    try:
        value = decode(first[1])
    except Refused as e:
        raise LogNotVerified(Finding.CHANGED, f"the header: {e.message}", line=1) from e
    if not isinstance(value, dict) or value.keys() != {"format", "origin"} or value["format"] != FORMAT:
        raise LogNotVerified(Finding.CHANGED, f"the header does not say {FORMAT}", line=1)
    if value["origin"] != key.name:
        raise LogNotVerified(Finding.CHANGED, f"the header names another log than the key ({key.name})", line=1)


def _fact(number: int, value: dict[str, Json], chain: _Chain, rest: Iterator[tuple[int, bytes]]) -> None:
    expected = chain.seq + 1
    if value.keys() != _FACT_FIELDS:
        raise LogNotVerified(Finding.CHANGED, "not a fact", line=number, seq=expected)
    prev, stated, seq = _hash(value.pop("prev")), _hash(value.pop("hash")), value["seq"]
    if prev is None or stated is None or not compare_digest(link(prev, value), stated):
        raise LogNotVerified(Finding.CHANGED, "the fact does not match its hash", line=number, seq=expected)
    if isinstance(seq, bool) or seq != expected:  # true == 1 in Python
        _out_of_place(number, seq, expected, rest)
    if not compare_digest(prev, chain.head):
        raise LogNotVerified(Finding.CHANGED, "the fact does not continue the one before it", line=number, seq=expected)
    chain.seq, chain.head = expected, stated
    chain.frontier = chain.frontier.append(merkle.leaf(stated))


def _hash(value: Json) -> bytes | None:
    if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
        return None
    return bytes.fromhex(value)


def _out_of_place(number: int, seq: Json, expected: int, rest: Iterator[tuple[int, bytes]]) -> None:
    """A whole fact that belongs elsewhere: say which one is missing here and whether it comes later."""
    if not isinstance(seq, int) or isinstance(seq, bool):
        raise LogNotVerified(Finding.CHANGED, "a fact's number is a number", line=number, seq=expected)
    if seq < expected:
        raise LogNotVerified(Finding.REPEATED, f"fact {seq} stands here again", line=number, seq=expected)
    wanted = f'"seq":{expected},'.encode()
    if any(wanted in raw for _, raw in rest):
        raise LogNotVerified(Finding.REORDERED, f"fact {seq} stands in its place", line=number, seq=expected)
    raise LogNotVerified(
        Finding.DROPPED, f"missing up to fact {seq - 1}" if seq - 1 > expected else "missing", line=number, seq=expected
    )


def _checkpoint(number: int, value: dict[str, Json], chain: _Chain, key: VerifierKey) -> Checkpoint:
    note = value["checkpoint"]
    try:
        if not isinstance(note, str):
            raise BadSignature("the checkpoint is no text")
        checkpoint = verify_checkpoint(note, key, alone=True)
    except Refused as e:
        raise LogNotVerified(Finding.SIGNATURE, e.message, line=number) from e
    if checkpoint.size > chain.seq:
        message = f"{checkpoint.size} facts were signed, {chain.seq} are here"
        raise LogNotVerified(Finding.CUT_BACK, message, line=number, seq=chain.seq + 1)
    if checkpoint.size < chain.seq:
        message = f"{checkpoint.size} facts were signed, {chain.seq} are here"
        raise LogNotVerified(Finding.ADDED, message, line=number, seq=checkpoint.size + 1)
    if not compare_digest(checkpoint.root, chain.frontier.root()):
        raise LogNotVerified(Finding.REWRITTEN, "the facts are not the ones that were signed", line=number)
    return checkpoint


def _grew(before: Checkpoint, chain: _Chain, number: int) -> None:
    if chain.older is None:
        message = f"the older checkpoint counts {before.size} facts, the log {chain.seq}"
        raise LogNotVerified(Finding.CUT_BACK, message, line=number, seq=chain.seq + 1)
    if not compare_digest(chain.older, before.root):
        message = f"the first {before.size} facts are not those of the older checkpoint"
        raise LogNotVerified(Finding.REWRITTEN, message, line=number)
