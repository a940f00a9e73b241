"""People: how a request was answered, the answer itself, what somebody told about themselves, and what they were told.

Frozen: it says what revision 0005 is, whatever ledger.tables says later. A change is a new revision.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("rights_request", sa.Column("extended_at_ms", sa.BigInteger()))
    op.add_column("rights_request", sa.Column("ended_at_ms", sa.BigInteger()))
    op.add_column("rights_request", sa.Column("reason", sa.Text()))
    op.add_column("rights_request", sa.Column("reminded_days", sa.Integer()))
    op.add_column("consent_state", sa.Column("reminded_at_ms", sa.BigInteger()))
    op.add_column("subject", sa.Column("told_at_ms", sa.BigInteger()))
    op.create_table(
        "answer",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.Column("key_box", sa.LargeBinary()),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("answer_by_subject", "answer", ["subject"])
    op.create_index("answer_by_expiry", "answer", ["expires_at_ms"])
    op.create_table(
        "profile_fact",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.CheckConstraint("origin IN ('form', 'link', 'operator')", name="profile_fact_told_by_the_person"),
    )
    op.create_index("profile_fact_by_subject", "profile_fact", ["subject", "fact"])
