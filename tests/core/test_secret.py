from __future__ import annotations

import copy
import json
import pickle

import pytest

from ironroot.core.errors import Forbidden, IronrootError, TooMany
from ironroot.core.secret import Secret


def test_a_secret_does_not_show_in_text_or_copies() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        hash(secret)
    assert not hasattr(secret, "__dict__")


def test_comparison() -> None:
    assert Secret("a").matches("a")
    assert Secret("a").matches(b"a")
    assert not Secret("a").matches("b")
    assert Secret("a") == Secret(b"a")
    assert Secret("a") != "a"
    assert Secret("a").reveal() == b"a"


def test_errors_carry_code_and_remedy() -> None:
    plain, coded = Forbidden("no", remedy="ask"), Forbidden("no", code="own-code")
    assert (plain.error_code, plain.remedy, str(plain)) == ("forbidden", "ask", "no")
    assert coded.error_code == "own-code"
    assert TooMany("slow down", retry_after_s=1.5).retry_after_s == 1.5
    assert isinstance(plain, IronrootError)
