from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironroot.agent import SecureStorage
from ironroot.core.errors import Corrupt, Malformed, Misconfigured, NotFound, TooLarge

KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.sealed"


@settings(max_examples=25)
@given(data=st.binary(max_size=2000))
def test_what_is_stored_is_loaded_and_does_not_show(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("s") / "c"
    SecureStorage(KEY, path).store_config(data)
    assert SecureStorage(KEY, path).load_config() == data
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(data) < 4 or data not in path.read_bytes()


def test_a_fernet_style_key_is_the_same_key(path: Path) -> None:
    text = base64.urlsafe_b64encode(KEY).decode()
    SecureStorage(text, path=path).store_config(b"x")
    assert SecureStorage(KEY, path=path).load_config() == b"x"
    assert SecureStorage(text.encode(), path=path).load_config() == b"x"


def test_the_default_path_is_in_the_agents_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRONROOT_STATE", str(tmp_path / "device"))
    SecureStorage(KEY).store_config(b"x")
    assert SecureStorage(KEY).load_config() == b"x"
    assert (tmp_path / "device" / "config.sealed").exists()


@pytest.mark.parametrize("key", [b"", b"short", KEY + b"x", "0" * 43, "!" * 44, b"=" * 44])
def test_weak_keys_are_refused(key: bytes | str, path: Path) -> None:
    with pytest.raises(Malformed):
        SecureStorage(key, path)


def fell_back(storage: SecureStorage) -> bool:
    return storage.recovered


def test_a_write_torn_at_any_byte_never_loses_the_generation_before(path: Path) -> None:
    storage = SecureStorage(KEY, path)
    storage.store_config(b"first")
    storage.store_config(b"second")
    whole, previous = path.read_bytes(), path.with_name("config.sealed.previous").read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert storage.load_config() == b"first"
        assert fell_back(storage)
        storage.store_config(b"third")  # and a torn file does not push out the good one
        assert storage.load_config() == b"third"
        assert not fell_back(storage)
        path.with_name("config.sealed.previous").write_bytes(previous)
    path.write_bytes(whole)
    assert storage.load_config() == b"second"


def test_a_power_cut_between_the_two_renames_loses_nothing(path: Path) -> None:
    storage = SecureStorage(KEY, path)
    storage.store_config(b"first")
    staged = SecureStorage(KEY, path.with_name("other"))
    staged.store_config(b"second")
    path.with_name("other").replace(path.with_name("config.sealed.next"))
    path.replace(path.with_name("config.sealed.previous"))
    assert storage.load_config() == b"second"
    path.with_name("config.sealed.next").write_bytes(b"IRS1 torn")
    assert storage.load_config() == b"first"


def test_every_flipped_byte_is_found(path: Path) -> None:
    storage = SecureStorage(KEY, path)
    storage.store_config(b"first")
    storage.store_config(b"second")
    whole = bytearray(path.read_bytes())
    for i in range(len(whole)):
        changed = bytearray(whole)
        changed[i] ^= 0x01
        path.write_bytes(changed)
        with pytest.raises(Corrupt, match="not what was stored"):
            storage.load_config()
    path.write_bytes(whole + b"x")
    with pytest.raises(Corrupt):
        storage.load_config()


def test_another_key_is_found(path: Path) -> None:
    SecureStorage(KEY, path).store_config(b"x")
    with pytest.raises(Corrupt, match="the key is another one"):
        SecureStorage(os.urandom(32), path).load_config()


def test_nothing_stored_yet(path: Path) -> None:
    with pytest.raises(NotFound):
        SecureStorage(KEY, path).load_config()


def test_both_generations_torn_is_said(path: Path) -> None:
    storage = SecureStorage(KEY, path)
    storage.store_config(b"x")
    path.write_bytes(b"IR")
    with pytest.raises(Corrupt, match="cut short"):
        storage.load_config()


def test_too_much_is_refused_and_a_full_disk_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = SecureStorage(KEY, path)
    storage.store_config(b"x")
    with pytest.raises(TooLarge):
        storage.store_config(bytes(9 * 1024 * 1024))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Misconfigured, match="No space left"):
        storage.store_config(b"y")
    monkeypatch.undo()
    assert storage.load_config() == b"x"
    assert sorted(p.name for p in path.parent.iterdir()) == ["config.sealed"]
