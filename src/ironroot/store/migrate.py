"""Brings a database's tables to what this code expects, in one transaction, one process at a time.

Each set of tables has its own revisions (`migrations/SET/versions`) and its own version table, so both sets fit
into one PostgreSQL database. A database whose revision this code does not know was written by newer code: it is
refused and left as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select

from ironroot.core.errors import Misconfigured
from ironroot.store.tables import TABLES, TableSet

_ADVISORY_LOCK = 0x1F0_5C4E


def version_table(tables: TableSet) -> str:
    """The table that names the revision of a set."""
    return f"schema_{tables}"


def upgrade(connection: Connection, tables: TableSet) -> tuple[str | None, str]:
    """Run what is missing, inside the connection's transaction; returns the revision before and after.

    Raises Misconfigured when the database is newer than the code, and changes nothing then.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    config, scripts = _scripts(tables)
    before = current(connection, tables)
    known = {script.revision for script in scripts.walk_revisions()}
    if before is not None and before not in known:
        raise Misconfigured(
            f"the {tables} tables are of a newer version ({before})",
            remedy="start the version of Ironroot that wrote them, or a later one",
            code="newer-database",
        )
    head = scripts.get_current_head()
    if head is None:
        raise Misconfigured(f"no revisions of the {tables} tables are installed", remedy="install Ironroot again")

    def missing(revision: Any, _context: MigrationContext) -> Any:
        return scripts._upgrade_revs(head, revision)  # noqa: SLF001 (what alembic's own `upgrade` command calls)

    if before != head:
        with EnvironmentContext(config, scripts, fn=missing, destination_rev=head) as environment:
            environment.configure(
                connection=connection,
                target_metadata=TABLES[tables],
                version_table=version_table(tables),
                transactional_ddl=True,
            )
            environment.run_migrations()
    return before, head


def current(connection: Connection, tables: TableSet) -> str | None:
    """The database's revision; None for one without these tables."""
    return MigrationContext.configure(connection, opts={"version_table": version_table(tables)}).get_current_revision()


def _scripts(tables: TableSet) -> tuple[Config, ScriptDirectory]:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations" / tables).replace("%", "%%"))
    return config, ScriptDirectory.from_config(config)
