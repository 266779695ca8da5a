"""C2SP signed notes and checkpoints: one vector of the Go implementation, our own keys for the rest."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.errors import Malformed, Refused
from ironroot.verify.note import BadSignature, Checkpoint, VerifierKey, sign, verify, verify_checkpoint
from tests.support.log import NoteSigner

SIGNER = NoteSigner("log.example/1", seed="note")
OTHER = NoteSigner("log.example/1", seed="another")
CHECKPOINT = Checkpoint("log.example/1", 42, bytes(range(32)))
NOTE = sign(CHECKPOINT.text(), SIGNER.key, SIGNER.sign)


def test_a_note_of_the_go_implementation() -> None:
    key = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )  # fmt: skip
    note = (
        f"{text}\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert verify(note, key, alone=True) == text
    assert key.key_id.hex() == "c74f20a3"


def test_a_checkpoint_is_read_back() -> None:
    assert verify_checkpoint(NOTE, SIGNER.key, alone=True) == CHECKPOINT
    assert NOTE.startswith("log.example/1\n42\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— log.example/1 ")


@given(st.data())
def test_no_character_of_a_note_can_be_changed(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(NOTE) - 1))
    other = data.draw(st.characters(exclude_characters=NOTE[place]))
    with pytest.raises(Refused):
        verify_checkpoint(NOTE[:place] + other + NOTE[place + 1 :], SIGNER.key, alone=True)


@pytest.mark.parametrize("cut", range(1, len(NOTE), 7))
def test_a_note_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(Refused):
        verify_checkpoint(NOTE[:-cut], SIGNER.key)


def test_another_key_of_the_same_name_is_refused() -> None:
    with pytest.raises(BadSignature):
        verify(NOTE, OTHER.key)
    forged = sign(CHECKPOINT.text(), SIGNER.key, OTHER.sign)  # claims the key's id
    with pytest.raises(BadSignature):
        verify(forged, SIGNER.key)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    note = sign(Checkpoint("elsewhere", 1, bytes(32)).text(), SIGNER.key, SIGNER.sign)
    with pytest.raises(BadSignature, match="another log"):
        verify_checkpoint(note, SIGNER.key)


def test_witnesses_may_sign_too_but_not_in_an_export() -> None:
    witness = NoteSigner("witness.example")
    cosigned = NOTE + sign(CHECKPOINT.text(), witness.key, witness.sign).rpartition("\n\n")[2]
    assert verify_checkpoint(cosigned, SIGNER.key) == CHECKPOINT
    assert verify(cosigned, witness.key) == CHECKPOINT.text()
    with pytest.raises(Malformed):
        verify(cosigned, SIGNER.key, alone=True)
    with pytest.raises(BadSignature):
        verify(NOTE + NOTE.rpartition("\n\n")[2], SIGNER.key)


@pytest.mark.parametrize(
    "text", ["", "a", "a\n", "a\n1\n", "a\n01\nAA==\n", "a\n-1\nAA==\n", "a\n1\nAA==\n", "\n1\n" + "A" * 43 + "=\n",
             "a\n1\n" + "A" * 43 + "=", "a\n1\n" + "A" * 43 + "=\nmore\n", "a\n1\n" + "A" * 42 + "B=\n"],
)  # fmt: skip
def test_not_a_checkpoint(text: str) -> None:
    with pytest.raises(Malformed):
        Checkpoint.parse(text)


@pytest.mark.parametrize("text", ["", "a", "a\tb\n", "a\x00\n", "\n"])
def test_text_a_note_cannot_hold(text: str) -> None:
    with pytest.raises(Malformed):
        sign(text, SIGNER.key, SIGNER.sign)


def test_keys_are_passed_on_as_text() -> None:
    text = str(SIGNER.key)
    assert VerifierKey.parse(f" {text}\n") == SIGNER.key
    assert text.startswith("log.example/1+")


_NAME, _ID, _KEY = str(SIGNER.key).split("+", 2)


@pytest.mark.parametrize(
    "text",
    [
        f"{_NAME}+{_ID}",
        f"{_NAME}+00000000+{_KEY}",
        f"{_NAME}x+{_ID}+{_KEY}",
        f"{_NAME}+{_ID.upper()}+{_KEY}",
        f"{_NAME}+{_ID}+{_KEY[:-4]}",
        f"{_NAME}+{_ID}+{_KEY} ä",
        f"{_NAME}+{_ID}+{b64encode(bytes([2]) + SIGNER.public).decode()}",
        f"two words+{_ID}+{_KEY}",
    ],
)
def test_a_mistyped_key_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        VerifierKey.parse(text)


@given(st.text(max_size=200))
def test_parsers_never_crash(text: str) -> None:
    for parse in (lambda: verify_checkpoint(text, SIGNER.key), lambda: VerifierKey.parse(text)):
        with pytest.raises(Refused):
            parse()
