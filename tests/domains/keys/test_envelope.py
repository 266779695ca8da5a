import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.errors import Corrupt
from ironroot.domains.keys import envelope

KEY = bytes(range(32))
NONCE = bytes(12)
generations = st.integers(0, 2**32 - 1)


@given(st.binary(max_size=200), st.text(max_size=50), generations)
def test_opens_to_what_was_sealed(plaintext: bytes, context: str, generation: int) -> None:
    sealed = envelope.seal(KEY, generation, context, plaintext, secrets.token_bytes(12))
    assert len(sealed) == len(plaintext) + envelope.OVERHEAD_BYTES
    assert envelope.generation(sealed) == generation
    assert envelope.unseal(KEY, context, sealed) == plaintext


@given(st.binary(max_size=40), st.data())
def test_tampering_with_any_bit_is_found(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(envelope.seal(KEY, 7, "t/c/r", plaintext, NONCE))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Corrupt):
        envelope.unseal(KEY, "t/c/r", bytes(sealed))


@given(st.binary(max_size=80))
def test_any_bytes_open_or_are_corrupt(noise: bytes) -> None:
    with pytest.raises(Corrupt):
        envelope.unseal(KEY, "t/c/r", noise)


def test_a_row_swapped_for_another_does_not_open() -> None:
    sealed = envelope.seal(KEY, 1, "signing_key/private/device-1", b"secret", NONCE)
    with pytest.raises(Corrupt, match="does not open"):
        envelope.unseal(KEY, "signing_key/private/server-1", sealed)


def test_another_key_does_not_open() -> None:
    sealed = envelope.seal(KEY, 1, "t/c/r", b"secret", NONCE)
    with pytest.raises(Corrupt):
        envelope.unseal(bytes(32), "t/c/r", sealed)


def test_the_format_stays() -> None:
    """A vector of version 1: what is stored today must open for twenty years."""
    sealed = envelope.seal(KEY, 3, "table/column/row", b"plaintext", NONCE)
    assert sealed.hex() == "01" + "00000003" + "00" * 12 + VECTOR
    assert envelope.unseal(KEY, "table/column/row", sealed) == b"plaintext"


VECTOR = "7ed0d4b7db58e6c57c6d11333dbd3156d5b4370d571592fe4f"


@pytest.mark.parametrize(
    ("key", "generation", "nonce"), [(b"short", 1, NONCE), (KEY, 1, b"short"), (KEY, -1, NONCE), (KEY, 2**32, NONCE)]
)
def test_sizes_are_held(key: bytes, generation: int, nonce: bytes) -> None:
    with pytest.raises(ValueError, match=r"AES-256-GCM|generation"):
        envelope.seal(key, generation, "c", b"", nonce)
