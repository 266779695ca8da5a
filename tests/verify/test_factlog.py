"""An export in which anything was touched fails, and says where."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from ironroot.core import merkle
from ironroot.core.canonical import decode, encode
from ironroot.core.chain import GENESIS, link
from ironroot.core.errors import Refused
from ironroot.verify import factlog
from ironroot.verify.factlog import Finding, LogNotVerified
from ironroot.verify.note import BadSignature, Checkpoint, sign
from tests.support.log import NoteSigner

SIGNER = NoteSigner("log.test", seed="export")


def record(seq: int, **changes: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "id": f"fct_{seq}",
        "at": f"2026-01-01T00:00:{seq:02}.000000Z",
        "kind": "device.registered",
        "subject": f"device/meter-{seq}",
        "actor": "user/usr_ä",
        "body": {"type": "meter", "labels": ["a", "b"], "n": seq},
    } | changes


def note_over(hashes: list[bytes], signer: NoteSigner = SIGNER) -> str:
    root = merkle.root([merkle.leaf(one) for one in hashes])
    return sign(Checkpoint(signer.name, len(hashes), root).text(), signer.key, signer.sign)


def chained(records: list[dict[str, Any]]) -> tuple[list[bytes], list[bytes]]:
    """The lines and hashes of an honest log over these records."""
    lines, hashes, prev = [], [], GENESIS
    for one in records:
        digest = link(prev, one)
        lines.append(encode(one | {"prev": prev.hex(), "hash": digest.hex()}) + b"\n")
        hashes.append(digest)
        prev = digest
    return lines, hashes


def exported(count: int, **changes: Any) -> list[bytes]:
    lines, hashes = chained([record(n + 1, **changes) for n in range(count)])
    header = encode({"format": factlog.FORMAT, "origin": SIGNER.name}) + b"\n"
    return [header, *lines, encode({"checkpoint": note_over(hashes)}) + b"\n"]


def check(lines: list[bytes] | bytes, older: str | None = None) -> factlog.VerifiedLog:
    data = lines if isinstance(lines, bytes) else b"".join(lines)
    return factlog.verify(io.BytesIO(data), SIGNER.key, older=older)


def refused(lines: list[bytes] | bytes, older: str | None = None) -> LogNotVerified:
    with pytest.raises(LogNotVerified) as e:
        check(lines, older)
    assert str(e.value).startswith(f"line {e.value.line}")
    assert e.value.finding in str(e.value)
    return e.value


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_an_honest_log(count: int) -> None:
    lines = exported(count)
    verified = check(lines)
    assert verified.facts == count == verified.checkpoint.size
    expected = decode(lines[-2].strip()) if count else None
    assert verified.head.hex() == (expected["hash"] if isinstance(expected, dict) else "00" * 32)


def test_no_byte_can_be_flipped() -> None:
    data = b"".join(exported(3))
    for place in range(len(data)):
        for flip in (0x01, 0x20, 0x80):
            refused(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])


def test_no_byte_can_be_removed_or_added() -> None:
    data = b"".join(exported(2))
    for place in range(len(data)):
        refused(data[:place] + data[place + 1 :])
        refused(data[:place] + b" " + data[place:])
    refused(data + b"\n")
    refused(data + b"{}\n")


def test_a_flipped_byte_is_named() -> None:
    lines = exported(5)
    lines[3] = lines[3].replace(b"meter-3", b"meter-4")
    found = refused(lines)
    assert (found.finding, found.line, found.seq) == (Finding.CHANGED, 4, 3)
    assert "does not match its hash" in found.message


def test_a_dropped_fact_is_named() -> None:
    lines = exported(5)
    del lines[3]
    found = refused(lines)
    assert (found.finding, found.line, found.seq) == (Finding.DROPPED, 4, 3)
    lines = exported(5)
    del lines[2:4]
    found = refused(lines)
    assert (found.finding, found.seq) == (Finding.DROPPED, 2)
    assert "up to fact 3" in found.message


@pytest.mark.parametrize(("a", "b"), [(1, 2), (2, 4), (1, 5)])
def test_reordered_facts_are_named(a: int, b: int) -> None:
    lines = exported(5)
    lines[a], lines[b] = lines[b], lines[a]
    found = refused(lines)
    assert (found.finding, found.line, found.seq) == (Finding.REORDERED, a + 1, a)


def test_a_repeated_fact_is_named() -> None:
    lines = exported(5)
    lines.insert(3, lines[2])
    found = refused(lines)
    assert (found.finding, found.line, found.seq) == (Finding.REPEATED, 4, 3)


@pytest.mark.parametrize("keep", range(1, 6))
def test_a_file_cut_at_a_line_is_named(keep: int) -> None:
    found = refused(exported(4)[:keep])
    assert (found.finding, found.line, found.seq) == (Finding.CUT_BACK, keep + 1, keep)


def test_the_last_facts_dropped_with_the_checkpoint_kept() -> None:
    lines = exported(5)
    del lines[4:6]
    found = refused(lines)
    assert (found.finding, found.seq) == (Finding.CUT_BACK, 4)
    assert "5 facts were signed, 3 are here" in found.message


def test_facts_added_after_signing() -> None:
    longer = exported(5)
    longer[-1] = exported(3)[-1]
    found = refused(longer)
    assert (found.finding, found.seq) == (Finding.ADDED, 4)


def test_a_log_rewritten_with_matching_hashes_does_not_match_the_signature() -> None:
    forged = exported(4, actor="user/usr_innocent")
    forged[-1] = exported(4)[-1]
    assert refused(forged).finding is Finding.REWRITTEN


def test_a_fact_replaced_with_its_own_hash_mended_breaks_the_next() -> None:
    lines = exported(4)
    forged, _ = chained([record(1), record(2, actor="user/usr_other")])
    lines[2] = forged[1]
    found = refused(lines)
    assert (found.finding, found.seq) == (Finding.CHANGED, 3)
    assert "continue" in found.message


def test_a_log_signed_by_somebody_else() -> None:
    other = NoteSigner("log.test", seed="attacker")
    lines, hashes = chained([record(1)])
    export = [exported(0)[0], *lines, encode({"checkpoint": note_over(hashes, other)}) + b"\n"]
    found = refused(export)
    assert (found.finding, found.line) == (Finding.SIGNATURE, 3)


def test_an_older_checkpoint_of_the_same_log() -> None:
    for size in range(6):
        older = decode(exported(size)[-1].strip())
        assert isinstance(older, dict)
        assert check(exported(5), older=str(older["checkpoint"])).facts == 5


def test_a_log_cut_back_and_signed_again_shows_against_an_older_checkpoint() -> None:
    older = decode(exported(6)[-1].strip())
    assert isinstance(older, dict)
    found = refused(exported(4), older=str(older["checkpoint"]))
    assert (found.finding, found.seq) == (Finding.CUT_BACK, 5)


def test_a_log_rewritten_and_signed_again_shows_against_an_older_checkpoint() -> None:
    older = decode(exported(3)[-1].strip())
    assert isinstance(older, dict)
    found = refused(exported(5, actor="user/usr_innocent"), older=str(older["checkpoint"]))
    assert found.finding is Finding.REWRITTEN


def test_an_older_checkpoint_of_another_key_proves_nothing() -> None:
    stranger = NoteSigner("log.test", seed="attacker")
    with pytest.raises(BadSignature):
        check(exported(3), older=note_over([], stranger))


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one | {"extra": 1},
        lambda one: {k: v for k, v in one.items() if k != "body"},
        lambda one: one | {"hash": one["hash"].upper()},
        lambda one: one | {"hash": None},
        lambda one: one | {"prev": "00"},
        lambda one: [one],
    ],
)
def test_a_fact_in_another_form_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    lines = exported(2)
    one = decode(lines[2].strip())
    assert isinstance(one, dict)
    lines[2] = encode(change(one)) + b"\n"
    found = refused(lines)
    assert (found.finding, found.line) == (Finding.CHANGED, 3)


@pytest.mark.parametrize("seq", ["1", True, None, -1, 0])
def test_a_fact_with_another_number_is_refused(seq: object) -> None:
    lines, hashes = chained([record(1) | {"seq": seq}])
    refused([exported(0)[0], *lines, encode({"checkpoint": note_over(hashes)}) + b"\n"])


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"{}\n", b"[]\n", b"\xff\n", b"x" * (factlog.MAX_LINE_BYTES + 10), b'{"format":"ironroot-facts/2","origin":"log.test"}\n',
     b'{"format":"ironroot-facts/1","origin":"other"}\n', b'{"format":"ironroot-facts/1","origin":"log.test"}\n' + b"[" * 5000 + b"\n"],
)  # fmt: skip
def test_other_files_are_refused_without_reading_them_whole(data: bytes) -> None:
    with pytest.raises(Refused):
        check(data)
