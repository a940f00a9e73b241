"""The record: every table of decision 0001, and the triggers that keep the ledger append-only."""

from alembic import op
from sqlalchemy import insert

from ledger.tables import ledger_head, metadata
from ledger.triggers import append_only_statements

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    metadata.create_all(connection)
    for statement in append_only_statements(connection.dialect.name):
        connection.exec_driver_sql(statement)
    connection.execute(insert(ledger_head).values(id=1, size=0, frontier=b""))
