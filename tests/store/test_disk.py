"""Full disks, torn writes and damaged files: an error that says so, and nothing that was confirmed is lost."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, insert, select, text

from ironroot.core.errors import Corrupt, Unavailable
from ironroot.store.engine import Store
from tests.support.stores import Stores

blobs = Table("blobs", MetaData(), Column("id", Integer, primary_key=True), Column("data", LargeBinary))


async def fill(store: Store, start: int = 0, most: int = 10_000, size: int = 20_000) -> list[int]:
    """Write rows one transaction each until the store refuses; the confirmed ones."""
    confirmed: list[int] = []
    refused: Unavailable | None = None
    while refused is None and len(confirmed) < most:
        n = start + len(confirmed)
        try:
            async with store.write() as tx:
                await tx.execute(insert(blobs).values(id=n, data=secrets.token_bytes(size)))
            confirmed.append(n)
        except Unavailable as e:
            refused = e
    assert refused is None or (refused.error_code == "store-full" and refused.remedy)
    return confirmed


async def ids(store: Store) -> list[int]:
    async with store.read() as conn:
        return list((await conn.execute(select(blobs.c.id).order_by(blobs.c.id))).scalars())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    at = tmp_path / "disk"
    at.mkdir()
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["/bin/umount", "-l", str(at)], check=True)


async def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_space(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    url = f"sqlite+aiosqlite:///{small_disk}/state.db"
    store = Store(url)
    async with store.write() as tx:
        await tx.conn.run_sync(blobs.metadata.create_all)
    confirmed = await fill(store)
    assert confirmed
    assert await ids(store) == confirmed
    ballast.unlink()
    more = await fill(store, start=1_000)
    assert more, "the store goes on by itself once there is space"
    await store.close()
    reopened = Store(url)
    assert await ids(reopened) == confirmed + more
    await reopened.close()


async def test_a_limit_inside_the_engine_is_the_same(sqlite_stores: Stores) -> None:
    store = await sqlite_stores.create(blobs.metadata)
    async with store.write() as tx:
        await tx.execute(text("pragma max_page_count = 60"))
    confirmed = await fill(store)
    assert confirmed
    assert await ids(store) == confirmed


async def test_a_server_without_space_is_the_same(stores: Stores) -> None:
    if stores.engine == "sqlite":
        return  # the tests above
    store = await stores.create(blobs.metadata)
    async with store.write() as tx:
        await tx.execute(
            text(
                "create function no_space() returns trigger language plpgsql as $$ begin if new.id >= 3 then "
                "raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; "
                "end if; return new; end $$"
            )
        )
        await tx.execute(
            text("create trigger no_space before insert on blobs for each row execute function no_space()")
        )
    confirmed = await fill(store)
    assert confirmed == [0, 1, 2]
    assert await ids(store) == confirmed


@pytest.mark.parametrize("kept", [0.999, 0.9, 0.5, 0.11])
async def test_a_torn_write_leaves_whole_transactions(sqlite_stores: Stores, tmp_path: Path, kept: float) -> None:
    """The write-ahead log cut anywhere: what is left are the first so many commits, each whole."""
    store = await sqlite_stores.create(blobs.metadata)
    for n in range(30):
        async with store.write() as tx:
            await tx.execute(insert(blobs), [{"id": 2 * n, "data": b"x" * 900}, {"id": 2 * n + 1, "data": b"y" * 900}])
    torn = tmp_path / "torn"
    torn.mkdir()
    for name in ("state.db", "state.db-wal"):
        shutil.copy(tmp_path / name, torn / name)
    wal = torn / "state.db-wal"
    os.truncate(wal, int(wal.stat().st_size * kept))
    reopened = Store(f"sqlite+aiosqlite:///{torn}/state.db")
    try:
        async with reopened.write() as tx:
            await tx.conn.run_sync(blobs.metadata.create_all)
            assert (await tx.execute(text("pragma integrity_check"))).scalar() == "ok"
        left = await ids(reopened)
        assert left == list(range(len(left)))
        assert len(left) % 2 == 0
        assert 0 < len(left) < 60 or kept < 0.2
    finally:
        await reopened.close()


async def test_a_damaged_file_is_named_corrupt(sqlite_stores: Stores, tmp_path: Path) -> None:
    store = await sqlite_stores.create(blobs.metadata)
    await fill(store, most=40, size=2_000)
    await store.close()
    with (tmp_path / "state.db").open("r+b") as file:
        file.seek(4096)
        file.write(secrets.token_bytes(60_000))
    reopened = sqlite_stores.open()
    with pytest.raises(Corrupt) as e:
        async with reopened.read() as conn:
            await conn.execute(select(blobs))
    assert e.value.error_code == "store-corrupt"
    assert "restore" in e.value.remedy


async def test_a_file_that_is_no_database_is_named_corrupt(sqlite_stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database, " * 1_000)
    with pytest.raises(Corrupt):
        await sqlite_stores.open().migrate("state")
