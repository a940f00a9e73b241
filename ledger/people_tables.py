"""The tables of what people ask and tell: rights requests, answers, facts about themselves. See ledger.tables."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text

from ledger.relay_tables import metadata

rights_request = Table(
    "rights_request",
    metadata,
    Column("id", LargeBinary, primary_key=True),  # that of its request.received entry
    Column("subject", LargeBinary, nullable=False),  # a handle: after an erasure it leads to nobody
    Column("right", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("status", Text, nullable=False),  # asked | confirmed | expired | refused | completed
    Column("asked_at_ms", BigInteger, nullable=False),
    Column("confirmed_at_ms", BigInteger),  # from here the month runs
    Column("due_at_ms", BigInteger),
    Column("extended_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),  # refused or completed
    Column("reason", Text),  # of an extension, then of a refusal
    Column("reminded_days", Integer),  # days left when the operator was last reminded
)
Index("rights_request_by_status", rights_request.c.status, rights_request.c.due_at_ms)
Index("rights_request_by_subject", rights_request.c.subject)

# An answer that waits behind a link. The box's own key is in that link and nowhere else once the mail has left, so
# whoever has the database, or the web process, cannot open it.
answer = Table(
    "answer",
    metadata,
    Column("id", LargeBinary, primary_key=True),  # random; what the token carries
    Column("request", LargeBinary, nullable=False),
    Column("subject", LargeBinary, nullable=False),
    Column("box", LargeBinary, nullable=False),
    Column("key_box", LargeBinary),  # that key, sealed for the mail; wiped when it has left
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)
Index("answer_by_subject", answer.c.subject)
Index("answer_by_expiry", answer.c.expires_at_ms)

# What somebody told about themselves: which box of the vault holds it. No third party can be the origin.
profile_fact = Table(
    "profile_fact",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),  # of its entry, and of its box
    Column("subject", LargeBinary, nullable=False),
    Column("fact", Text, nullable=False),
    Column("origin", Text, nullable=False),
    CheckConstraint("origin IN ('form', 'link', 'operator')", name="profile_fact_told_by_the_person"),
)
Index("profile_fact_by_subject", profile_fact.c.subject, profile_fact.c.fact)
