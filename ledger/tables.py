"""The tables, the same on SQLite and PostgreSQL. Times are unix milliseconds; no column holds a person in clear."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ledger.people_tables import answer as answer
from ledger.people_tables import profile_fact as profile_fact
from ledger.people_tables import rights_request as rights_request
from ledger.relay_tables import drift_check as drift_check
from ledger.relay_tables import erasure as erasure
from ledger.relay_tables import metadata as metadata
from ledger.relay_tables import processor_state as processor_state
from ledger.relay_tables import product_access as product_access
from ledger.relay_tables import relay as relay

# SQLite numbers a row by itself only in an INTEGER PRIMARY KEY; BIGINT would stay NULL there.
RowId = BigInteger().with_variant(Integer, "sqlite")

inbox = Table(
    "inbox",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("delivery_key", Text, nullable=False),  # keyed tag of the sender's id, or our digest where it sends none
    Column("body_digest", LargeBinary, nullable=False),  # keyed: a body with few unknowns could be guessed
    Column("received_at_ms", BigInteger, nullable=False),
    Column("status", Text, nullable=False),  # new | recorded | parked
    Column("urgent", Integer, nullable=False, default=0),
    Column("reason", Text),
    Column("key_id", Text),  # which secret matched
    Column("box", LargeBinary),  # sealed for the recorder; NULL once recorded
    Column("attempts", Integer, nullable=False, default=0),
    Column("recorded_at_ms", BigInteger),
    Column("key_version", Integer, nullable=False, server_default="1"),  # of the index pepper
    Column("skew_ms", BigInteger),  # the sender's time minus ours, where it signs one
    UniqueConstraint("source", "delivery_key"),
    sqlite_autoincrement=True,  # an id is never used twice
)
Index("inbox_by_status", inbox.c.status, inbox.c.urgent.desc(), inbox.c.id)
# Where a sender has no ids, the key is our digest, a colon and chance; only those are looked up by what they hold.
WITHOUT_SENDER_ID = text("delivery_key LIKE '%:%'")
Index(
    "inbox_by_digest",
    inbox.c.body_digest,
    sqlite_where=WITHOUT_SENDER_ID,
    postgresql_where=WITHOUT_SENDER_ID,
)
Index("inbox_by_source", inbox.c.source, inbox.c.received_at_ms)

pending_withdrawal = Table(
    "pending_withdrawal",
    metadata,
    Column("inbox_id", BigInteger, ForeignKey("inbox.id"), primary_key=True),
    Column("subject", LargeBinary),
    Column("wide", LargeBinary),
    Column("purposes", Text, nullable=False),  # comma-separated
)

ledger_head = Table(
    "ledger_head",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
)

ledger_entry = Table(
    "ledger_entry",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("id", LargeBinary, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("subject", LargeBinary),
    Column("recorded_at_ms", BigInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False),  # the exact bytes that are hashed; the columns are copies
    Column("inbox_id", BigInteger),
    Column("ordinal", Integer, nullable=False),
    UniqueConstraint("inbox_id", "ordinal"),
)
Index("ledger_entry_by_subject", ledger_entry.c.subject, ledger_entry.c.position)

ledger_node = Table(
    "ledger_node",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

ledger_checkpoint = Table(
    "ledger_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("signed_at_ms", BigInteger, nullable=False),
)

ledger_cosignature = Table(
    "ledger_cosignature",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),  # of the witness
    Column("line", Text, nullable=False),  # the signature line, with its newline
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("reason", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)

subject = Table(
    "subject",
    metadata,
    Column("handle", LargeBinary, primary_key=True),
    Column("data_key", LargeBinary, nullable=False),  # wrapped by the key-encryption key; begins with its version
    Column("language", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("restricted_at_ms", BigInteger),  # since when its boxes are only opened with an entry that says so
    Column("restricted_reason", Text),
    Column("keep_until_ms", BigInteger),  # when what is left is shredded
    Column("told_at_ms", BigInteger),  # when the person was told that the restriction is about to end
)

subject_address = Table(
    "subject_address",
    metadata,
    Column("narrow", LargeBinary, primary_key=True),
    Column("wide", LargeBinary, nullable=False),
    Column("subject", LargeBinary, ForeignKey("subject.handle"), nullable=False),
    Column("key_version", Integer, nullable=False, server_default="1"),  # of the index pepper
)
Index("subject_address_by_wide", subject_address.c.wide)
Index("subject_address_by_subject", subject_address.c.subject)

vault = Table(
    "vault",
    metadata,
    Column("position", BigInteger, ForeignKey("ledger_entry.position"), primary_key=True, autoincrement=False),
    Column("subject", LargeBinary, ForeignKey("subject.handle"), nullable=False),
    Column("box", LargeBinary, nullable=False),
)
Index("vault_by_subject", vault.c.subject)

consent_state = Table(
    "consent_state",
    metadata,
    Column("subject", LargeBinary, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("effective_at_ms", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("reminded_at_ms", BigInteger),  # of this state: a new one has none
)

suppression = Table(
    "suppression",
    metadata,
    Column("tag", LargeBinary, primary_key=True),  # HMAC(suppression key, wide address)
    Column("purpose", Text, primary_key=True),  # or "*": every purpose, those that come later too
    Column("effective_at_ms", BigInteger, nullable=False),
    Column("key_version", Integer, nullable=False, server_default="1"),  # of the suppression key
    Column("reason", Text, nullable=False, server_default="withdrawn"),  # withdrawn | erased
)

link = Table(
    "link",
    metadata,
    Column("id", LargeBinary, primary_key=True),  # random; what a token carries
    Column("kind", Text, nullable=False),  # withdraw | confirm | request
    Column("subject", LargeBinary, ForeignKey("subject.handle"), nullable=False),
    Column("purposes", Text, nullable=False),  # of a request: the right
    Column("status", Text, nullable=False),  # open | used | closed
    Column("created_at_ms", BigInteger, nullable=False),
    Column("request_ids", Text, nullable=False),  # entries that a confirmation answers, hex, comma-separated
)
Index("link_by_subject", link.c.subject)

# How far we have read at a source that is asked and does not only send: Stripe's events, a mailbox's history.
intake_position = Table(
    "intake_position",
    metadata,
    Column("source", Text, primary_key=True),
    Column("position", Text, nullable=False),  # an id of the source's own
    Column("checked_at_ms", BigInteger, nullable=False),  # until when nothing is missing
    Column("found", BigInteger, nullable=False, server_default="0"),  # deliveries that only asking brought, ever
    Column("expires_at_ms", BigInteger),  # of a subscription that must be renewed
)

unread_field = Table(
    "unread_field",
    metadata,
    Column("source", Text, primary_key=True),
    Column("name", Text, primary_key=True),  # as the sender writes it; only if it looks like a name
    Column("count", BigInteger, nullable=False),
    Column("seen_at_ms", BigInteger, nullable=False),
)

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("process", Text, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
)
