"""The tables of the relays: what is carried where, and how each processor is doing. See ledger.tables."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

metadata = MetaData()

relay = Table(
    "relay",
    metadata,
    Column("id", LargeBinary, primary_key=True),  # random; the reference that a processor may see
    Column("sequence", BigInteger, nullable=False),  # order of creation: position of the cause
    Column("subject", LargeBinary, nullable=False),
    Column("processor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("purposes", Text, nullable=False),
    Column("cause", LargeBinary, nullable=False),  # id of the entry that asked for it
    Column("urgent", Integer, nullable=False),
    Column("status", Text, nullable=False),  # pending | confirmed | superseded | parked
    Column("outcome", Text),
    Column("reason", Text),
    Column("attempts", Integer, nullable=False, default=0),  # also the fence of a claim
    Column("epoch", Integer, nullable=False, default=1),  # part of the idempotency key
    Column("claimed_until_ms", BigInteger, nullable=False, default=0),
    Column("next_attempt_at_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("box", LargeBinary),  # the address of somebody who has no vault; wiped when the relay ends
    Column("notes", LargeBinary),  # sealed: the vendor's ids of an action that takes months; wiped when it ends
    Column("product", Text),  # of grant_access and revoke_access
    Column("retained_until_ms", BigInteger),  # where the outcome is `retained`
    UniqueConstraint("cause", "processor", "action", "subject"),
)
Index("relay_by_due", relay.c.status, relay.c.urgent, relay.c.next_attempt_at_ms)
Index("relay_by_processor", relay.c.processor, relay.c.status, relay.c.urgent, relay.c.next_attempt_at_ms)
Index("relay_by_subject", relay.c.subject, relay.c.processor)

# An erasure is done when every processor has answered for it; which did is in `relay`, by cause.
erasure = Table(
    "erasure",
    metadata,
    Column("id", LargeBinary, primary_key=True),  # that of its subject.erased entry
    Column("subject", LargeBinary, nullable=False),  # a handle that leads to nobody
    Column("started_at_ms", BigInteger, nullable=False),
    Column("completed_at_ms", BigInteger),
)
Index("erasure_by_completed", erasure.c.completed_at_ms)

# What payments have granted. One payment has several names at Stripe (its session, payment intent, subscription).
product_access = Table(
    "product_access",
    metadata,
    Column("tag", LargeBinary, primary_key=True),  # keyed: of one of those names
    Column("product", Text, primary_key=True),
    Column("grant", LargeBinary, nullable=False),  # id of the access.granted entry
    Column("subject", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),  # granted | revoked
    Column("key_version", Integer, nullable=False, server_default="1"),  # of the index pepper
)
Index("product_access_by_subject", product_access.c.subject)

# The kill switch and the circuit breaker of each processor.
processor_state = Table(
    "processor_state",
    metadata,
    Column("processor", Text, primary_key=True),
    Column("paused_at_ms", BigInteger),  # by an operator, until an operator resumes
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("closed_until_ms", BigInteger, nullable=False, server_default="0"),  # nobody calls before then
    Column("reason", Text),
)

# When each person was last compared with each processor.
drift_check = Table(
    "drift_check",
    metadata,
    Column("subject", LargeBinary, primary_key=True),
    Column("processor", Text, primary_key=True),
    Column("checked_at_ms", BigInteger, nullable=False),
)
Index("drift_check_by_time", drift_check.c.processor, drift_check.c.checked_at_ms)
