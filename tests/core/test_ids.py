from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.errors import Malformed
from ironroot.core.ids import device_id, new_id, plain_name


@pytest.mark.parametrize("text", ["a", "0", "meter-1", "a" * 63])
def test_device_ids(text: str) -> None:
    assert device_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-a",
        "A",
        "a" * 64,
        "a.b",
        "a/b",
        "a b",
        "a+b",
        "a#",
        "a>",
        "a*",
        "a\n",
        "meter-1\n",
        "ａ",
        "ä",
        "a\x00",
        "a:b",
    ],
)
def test_a_device_id_cannot_carry_another_topic_or_name(text: str) -> None:
    with pytest.raises(Malformed) as e:
        device_id(text)
    assert e.value.error_code == "device-id"


def test_plain_names() -> None:
    assert plain_name("hall_2.west-1", "group") == "hall_2.west-1"
    with pytest.raises(Malformed, match="group"):
        plain_name("../x", "group")


@given(st.binary(min_size=16, max_size=32))
def test_ids_say_what_they_name(entropy: bytes) -> None:
    made = new_id("usr", entropy)
    assert made.startswith("usr_")
    assert len(made) == 30
    assert made == made.lower()


def test_a_guessable_id_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        new_id("usr", bytes(15))
