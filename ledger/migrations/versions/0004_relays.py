"""Relays: erasures as work items, access to products, the state of each processor, and who was compared when.

Frozen: it says what revision 0004 is, whatever ledger.tables says later. A change is a new revision.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("relay", sa.Column("notes", sa.LargeBinary()))
    op.add_column("relay", sa.Column("product", sa.Text()))
    op.add_column("relay", sa.Column("retained_until_ms", sa.BigInteger()))
    op.create_index("relay_by_processor", "relay", ["processor", "status", "urgent", "next_attempt_at_ms"])
    op.create_table(
        "erasure",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("completed_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("erasure_by_completed", "erasure", ["completed_at_ms"])
    op.create_table(
        "product_access",
        sa.Column("tag", sa.LargeBinary(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("grant", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("tag", "product"),
    )
    op.create_index("product_access_by_subject", "product_access", ["subject"])
    op.create_table(
        "processor_state",
        sa.Column("processor", sa.Text(), nullable=False),
        sa.Column("paused_at_ms", sa.BigInteger()),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("closed_until_ms", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("reason", sa.Text()),
        sa.PrimaryKeyConstraint("processor"),
    )
    op.create_table(
        "drift_check",
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("processor", sa.Text(), nullable=False),
        sa.Column("checked_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "processor"),
    )
    op.create_index("drift_check_by_time", "drift_check", ["processor", "checked_at_ms"])
