"""Which Envoy is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironroot.adapters.envoy import binary
from ironroot.core.errors import Misconfigured


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "envoy"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


def test_the_wheel_brings_one_that_is_new_enough() -> None:
    assert binary.require(binary.find()) >= binary.MINIMUM


def test_the_operator_may_bring_another(tmp_path: Path) -> None:
    own = script(tmp_path, "echo envoy  version: abc/1.41.2-dev/Clean/RELEASE/BoringSSL")
    assert binary.find(own) == own
    assert binary.require(own) == (1, 41, 2)


def test_missing_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no Envoy at"):
        binary.find(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("echo envoy  version: abc/1.39.9/Clean/RELEASE/BoringSSL", "envoy-old"),
        ("echo hello", "envoy-broken"),
        ("exit 1", "envoy-broken"),
        ("kill -9 $$", "envoy-broken"),
    ],
)
def test_too_old_or_not_envoy_is_refused(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        binary.require(script(tmp_path, text))
    assert caught.value.error_code == code
    assert caught.value.remedy
