"""Cosignatures of witnesses, quarantine, restriction, and the key version under which a tag was made.

Frozen: it says what revision 0002 is, whatever ledger.tables says later. A change is a new revision.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SQLITE_TRIGGERS = (
    """CREATE TRIGGER ledger_cosignature_no_update BEFORE UPDATE ON ledger_cosignature
       BEGIN SELECT RAISE(ABORT, 'ledger_cosignature is append-only'); END""",
    """CREATE TRIGGER ledger_cosignature_no_delete BEFORE DELETE ON ledger_cosignature
       BEGIN SELECT RAISE(ABORT, 'ledger_cosignature is append-only'); END""",
    # INSERT OR REPLACE fires no delete trigger (see 0001).
    """CREATE TRIGGER ledger_cosignature_is_new BEFORE INSERT ON ledger_cosignature
       WHEN EXISTS (SELECT 1 FROM ledger_cosignature WHERE size = NEW.size AND name = NEW.name)
       BEGIN SELECT RAISE(ABORT, 'ledger_cosignature is append-only'); END""",
)
POSTGRESQL_TRIGGERS = (
    """CREATE TRIGGER ledger_cosignature_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_cosignature
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
)


def upgrade() -> None:
    _published()
    _people()
    connection = op.get_bind()
    for statement in SQLITE_TRIGGERS if connection.dialect.name == "sqlite" else POSTGRESQL_TRIGGERS:
        connection.exec_driver_sql(statement)


def _published() -> None:
    op.create_table(
        "ledger_cosignature",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size", "name"),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _people() -> None:
    op.add_column("subject", sa.Column("restricted_at_ms", sa.BigInteger()))
    op.add_column("subject", sa.Column("restricted_reason", sa.Text()))
    op.add_column("subject", sa.Column("keep_until_ms", sa.BigInteger()))
    # Everything until now was made under the first version of its key.
    for table in ("subject_address", "suppression", "inbox"):
        op.add_column(table, sa.Column("key_version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("suppression", sa.Column("reason", sa.Text(), nullable=False, server_default="withdrawn"))
