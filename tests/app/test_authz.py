"""The callout's own way to the store: always fresh, and closed when the store is gone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from ironroot.app.authz import DirectAdmission
from ironroot.core.errors import Forbidden, Unavailable
from ironroot.core.ids import Fingerprint
from ironroot.store.engine import Store
from ironroot.trust import tables
from tests.support.clock import ManualClock

PRINT = Fingerprint("ab" * 32)


@pytest.fixture
async def clock(sqlite_store: Store) -> ManualClock:
    made = ManualClock()
    async with sqlite_store.write() as tx:
        await tx.execute(
            insert(tables.decision).values(device_id="meter-1", state="trusted", reasons=[], since=made.now())
        )
        await tx.execute(
            insert(tables.certificate).values(
                fingerprint=PRINT,
                device_id="meter-1",
                serial="1",
                not_before=made.now(),
                not_after=made.now() + timedelta(days=1),
                fact="f",
            )
        )
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


async def test_each_answer_is_fresh(sqlite_store: Store, clock: ManualClock, file: Path) -> None:
    admission = DirectAdmission(sqlite_store, clock, file)
    assert (await admission.by_fingerprint(PRINT)).device == "meter-1"
    async with sqlite_store.write() as tx:
        await tx.execute(update(tables.certificate).values(revoked="keyCompromise"))
    with pytest.raises(Forbidden) as refused:
        await admission.by_fingerprint(PRINT)
    assert refused.value.error_code == "certificate-revoked"
    with pytest.raises(Forbidden):
        await admission.by_fingerprint(Fingerprint("cd" * 32))
    admission.close()


async def test_an_expired_certificate_is_refused(sqlite_store: Store, clock: ManualClock, file: Path) -> None:
    admission = DirectAdmission(sqlite_store, clock, file)
    clock.advance(timedelta(days=1))
    with pytest.raises(Forbidden):
        await admission.by_fingerprint(PRINT)
    admission.close()


async def test_it_cannot_write(sqlite_store: Store, clock: ManualClock, file: Path) -> None:
    admission = DirectAdmission(sqlite_store, clock, file)
    await admission.by_fingerprint(PRINT)
    assert admission._conn is not None
    with pytest.raises(Exception, match="readonly"):
        admission._conn.exec_driver_sql("DELETE FROM trust_certificate")
    admission.close()


async def test_without_a_store_nobody_is_admitted_and_none_is_made(sqlite_store: Store, tmp_path: Path) -> None:
    absent = tmp_path / "absent.db"
    admission = DirectAdmission(sqlite_store, ManualClock(), absent)
    with pytest.raises(Unavailable):
        await admission.by_fingerprint(PRINT)
    assert not absent.exists()
    admission.close()
