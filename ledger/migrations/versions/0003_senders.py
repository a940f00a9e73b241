"""Senders: their clocks, what they send unread, how far they were asked; and requests that people make.

Frozen: it says what revision 0003 is, whatever ledger.tables says later. A change is a new revision.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("inbox", sa.Column("skew_ms", sa.BigInteger()))
    # Only what has no id of its sender's is looked up by what it holds; at the door every index is a page to write.
    without_sender_id = sa.text("delivery_key LIKE '%:%'")
    op.drop_index("inbox_by_digest", "inbox")
    op.create_index(
        "inbox_by_digest",
        "inbox",
        ["body_digest"],
        sqlite_where=without_sender_id,
        postgresql_where=without_sender_id,
    )
    # The newest time is that of the newest row; how a sender is doing is asked by source.
    op.drop_index("inbox_by_received", "inbox")
    op.create_index("inbox_by_source", "inbox", ["source", "received_at_ms"])
    op.create_table(
        "rights_request",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("right", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("asked_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at_ms", sa.BigInteger()),
        sa.Column("due_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("rights_request_by_status", "rights_request", ["status", "due_at_ms"])
    op.create_index("rights_request_by_subject", "rights_request", ["subject"])
    op.create_table(
        "intake_position",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("checked_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("expires_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("source"),
    )
    op.create_table(
        "unread_field",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "name"),
    )
