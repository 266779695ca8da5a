import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ironroot.core.errors import Corrupt, Misconfigured
from ironroot.domains.keys.master import MasterKeyFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "master.key"


def test_is_made_once_and_read_again(path: Path) -> None:
    made = MasterKeyFile.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_size == 32
    assert list(path.parent.iterdir()) == [path]
    wrapped = made.wrap("t/c/r", b"secret")
    assert MasterKeyFile.open(path).unwrap("t/c/r", wrapped) == b"secret"


def test_two_starters_at_once_end_with_one_key(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: MasterKeyFile.open(path).id, range(16)))
    assert len(ids) == 1
    assert list(path.parent.iterdir()) == [path]


def test_is_not_made_where_it_must_exist(path: Path) -> None:
    with pytest.raises(Misconfigured, match="no master key"):
        MasterKeyFile.open(path, create=False)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_refuses_a_key_that_others_may_read(path: Path, mode: int) -> None:
    MasterKeyFile.open(path)
    path.chmod(mode)
    with pytest.raises(Misconfigured, match="may be read") as e:
        MasterKeyFile.open(path)
    assert "chmod 600" in e.value.remedy


def test_refuses_a_folder_where_others_may_replace_it(path: Path) -> None:
    MasterKeyFile.open(path)
    path.parent.chmod(0o770)
    with pytest.raises(Misconfigured, match="may replace"):
        MasterKeyFile.open(path)


def test_refuses_a_link_to_somewhere_else(path: Path, tmp_path: Path) -> None:
    MasterKeyFile.open(tmp_path / "other")
    path.parent.mkdir(mode=0o700)
    path.symlink_to(tmp_path / "other")
    with pytest.raises(Misconfigured, match="cannot read"):
        MasterKeyFile.open(path)


def test_refuses_what_is_no_file_without_waiting_for_it(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    os.mkfifo(path, 0o600)
    with pytest.raises(Misconfigured, match="plain file"):
        MasterKeyFile.open(path)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_refuses_a_torn_or_foreign_file(path: Path, size: int) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="32 bytes"):
        MasterKeyFile.open(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_refuses_a_key_of_another_user(path: Path) -> None:
    MasterKeyFile.open(path)
    os.chown(path, 65534, 65534)
    with pytest.raises(Misconfigured, match="another user"):
        MasterKeyFile.open(path)


def test_says_where_it_cannot_write(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(Misconfigured):
        MasterKeyFile.open(blocked / "master.key")


def test_another_master_key_is_named_as_such_and_tampering_as_such() -> None:
    one, two = MasterKeyFile(bytes(32)), MasterKeyFile(bytes(31) + b"\1")
    wrapped = one.wrap("t/c/r", b"secret")
    with pytest.raises(Misconfigured, match="another master key"):
        two.unwrap("t/c/r", wrapped)
    with pytest.raises(Corrupt):
        one.unwrap("t/c/x", wrapped)


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        MasterKeyFile(b"short")
