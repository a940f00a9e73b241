"""The record: every table of decision 0001, and the triggers that keep the ledger append-only.

Frozen: it says what revision 0001 is, whatever ledger.tables says later. A change is a new revision.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# SQLite fires no delete trigger for INSERT OR REPLACE, and deletes every row that any unique key sets against the
# new one: so the insert itself is guarded. The new position must be the next one, which makes a gap impossible too.
SQLITE_TRIGGERS = (
    """CREATE TRIGGER ledger_entry_no_update BEFORE UPDATE ON ledger_entry
       BEGIN SELECT RAISE(ABORT, 'ledger_entry is append-only'); END""",
    """CREATE TRIGGER ledger_entry_no_delete BEFORE DELETE ON ledger_entry
       BEGIN SELECT RAISE(ABORT, 'ledger_entry is append-only'); END""",
    """CREATE TRIGGER ledger_entry_in_order BEFORE INSERT ON ledger_entry
       WHEN NEW.position IS NOT (SELECT coalesce(max(position) + 1, 0) FROM ledger_entry)
       OR EXISTS (SELECT 1 FROM ledger_entry WHERE id = NEW.id)
       OR EXISTS (SELECT 1 FROM ledger_entry WHERE inbox_id = NEW.inbox_id AND ordinal = NEW.ordinal)
       BEGIN SELECT RAISE(ABORT, 'ledger_entry grows only at its end'); END""",
    """CREATE TRIGGER ledger_node_no_update BEFORE UPDATE ON ledger_node
       BEGIN SELECT RAISE(ABORT, 'ledger_node is append-only'); END""",
    """CREATE TRIGGER ledger_node_no_delete BEFORE DELETE ON ledger_node
       BEGIN SELECT RAISE(ABORT, 'ledger_node is append-only'); END""",
    """CREATE TRIGGER ledger_node_in_order BEFORE INSERT ON ledger_node
       WHEN NEW.position IS NOT (SELECT coalesce(max(position) + 1, 0) FROM ledger_node)
       BEGIN SELECT RAISE(ABORT, 'ledger_node grows only at its end'); END""",
    """CREATE TRIGGER ledger_checkpoint_no_update BEFORE UPDATE ON ledger_checkpoint
       BEGIN SELECT RAISE(ABORT, 'ledger_checkpoint is append-only'); END""",
    """CREATE TRIGGER ledger_checkpoint_no_delete BEFORE DELETE ON ledger_checkpoint
       BEGIN SELECT RAISE(ABORT, 'ledger_checkpoint is append-only'); END""",
    """CREATE TRIGGER ledger_checkpoint_in_order BEFORE INSERT ON ledger_checkpoint
       WHEN NEW.size <= coalesce((SELECT max(size) FROM ledger_checkpoint), 0)
       BEGIN SELECT RAISE(ABORT, 'ledger_checkpoint grows only at its end'); END""",
)
POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$""",
    """CREATE TRIGGER ledger_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER ledger_node_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_node
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER ledger_checkpoint_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_checkpoint
       FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()""",
)


def upgrade() -> None:
    _inbox()
    _ledger()
    _people()
    _consent()
    _relay()
    connection = op.get_bind()
    for statement in SQLITE_TRIGGERS if connection.dialect.name == "sqlite" else POSTGRESQL_TRIGGERS:
        connection.exec_driver_sql(statement)
    head = sa.table("ledger_head", sa.column("id"), sa.column("size"), sa.column("frontier", sa.LargeBinary))
    connection.execute(sa.insert(head).values(id=1, size=0, frontier=b""))


def _inbox() -> None:
    op.create_table(
        "inbox",
        # SQLite numbers a row by itself only in an INTEGER PRIMARY KEY.
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("delivery_key", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("urgent", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("key_id", sa.Text()),
        sa.Column("box", sa.LargeBinary()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("recorded_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source", "delivery_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("inbox_by_status", "inbox", ["status", sa.literal_column("urgent DESC"), "id"])
    op.create_index("inbox_by_digest", "inbox", ["body_digest"])
    op.create_index("inbox_by_received", "inbox", ["received_at_ms"])
    op.create_table(
        "pending_withdrawal",
        sa.Column("inbox_id", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.LargeBinary()),
        sa.Column("wide", sa.LargeBinary()),
        sa.Column("purposes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["inbox_id"], ["inbox.id"]),
        sa.PrimaryKeyConstraint("inbox_id"),
    )


def _ledger() -> None:
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary()),
        sa.Column("recorded_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("inbox_id", sa.BigInteger()),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("inbox_id", "ordinal"),
    )
    op.create_index("ledger_entry_by_subject", "ledger_entry", ["subject", "position"])
    op.create_table(
        "ledger_node",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_table(
        "ledger_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )


def _people() -> None:
    op.create_table(
        "subject",
        sa.Column("handle", sa.LargeBinary(), nullable=False),
        sa.Column("data_key", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("handle"),
    )
    op.create_table(
        "subject_address",
        sa.Column("narrow", sa.LargeBinary(), nullable=False),
        sa.Column("wide", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subject.handle"]),
        sa.PrimaryKeyConstraint("narrow"),
    )
    op.create_index("subject_address_by_wide", "subject_address", ["wide"])
    op.create_index("subject_address_by_subject", "subject_address", ["subject"])
    op.create_table(
        "vault",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["position"], ["ledger_entry.position"]),
        sa.ForeignKeyConstraint(["subject"], ["subject.handle"]),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("vault_by_subject", "vault", ["subject"])


def _consent() -> None:
    op.create_table(
        "consent_state",
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("effective_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "purpose"),
    )
    op.create_table(
        "suppression",
        sa.Column("tag", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("effective_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tag", "purpose"),
    )
    op.create_table(
        "link",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("purposes", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("request_ids", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["subject"], ["subject.handle"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("link_by_subject", "link", ["subject"])


def _relay() -> None:
    op.create_table(
        "relay",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("processor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("purposes", sa.Text(), nullable=False),
        sa.Column("cause", sa.LargeBinary(), nullable=False),
        sa.Column("urgent", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("claimed_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("box", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("cause", "processor", "action", "subject"),
    )
    op.create_index("relay_by_due", "relay", ["status", "urgent", "next_attempt_at_ms"])
    op.create_index("relay_by_subject", "relay", ["subject", "processor"])
    op.create_table(
        "heartbeat",
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("process"),
    )
