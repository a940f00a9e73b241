"""May I send these people this? One answer with one reason for each address, from one moment of the database.

Sending stops on anything that may mean no: a wide match, a suppression, or a withdrawal not yet recorded. What is
asked of many is asked of the database once for all of them, not once for each.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select

from ledger import quarantine, restriction
from ledger.identity import AddressTags, address_tags, suppression_tags
from ledger.keyring import Keyring
from ledger.links import split
from ledger.state import GIVEN, NEVER, REFUSED, REQUESTED, REVOKED, WITHDRAWN
from ledger.suppression import EVERY_PURPOSE
from ledger.tables import consent_state, ledger_entry, pending_withdrawal, subject, subject_address, suppression
from schemas.address import Address
from schemas.entry import Kind, parse_leaf

CHUNK = 500  # addresses in one question; a database takes only so many parameters
QUARANTINED, PENDING, SUPPRESSED, RESTRICTED = "quarantined", "withdrawal_pending", "suppressed", "restricted"
MALFORMED = "address_malformed"  # one of many that were asked about
REASONS = (
    *(GIVEN, NEVER, REQUESTED, REFUSED, WITHDRAWN, REVOKED),
    *(PENDING, SUPPRESSED, RESTRICTED, QUARANTINED, MALFORMED),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason`: one of REASONS. `index`, `entry`, `notice`: of the entry that decided, where one did.

    `customer_since_ms`: the other law's answer (markedsføringsloven section 15), which changes nothing of this one.
    """

    allowed: bool
    reason: str
    since_ms: int | None = None
    entry: str | None = None
    index: int | None = None
    notice: str | None = None
    customer_since_ms: int | None = None


def may_send(connection: Connection, keyring: Keyring, addresses: Sequence[Address], purpose: str) -> list[Answer]:
    """In the order of `addresses`. The caller's transaction is the moment."""
    if quarantine.reason_of(connection) is not None:  # the ledger may lack the newest withdrawals
        return [Answer(False, QUARANTINED)] * len(addresses)
    answers: list[Answer] = []
    for first in range(0, len(addresses), CHUNK):
        answers += _Known(connection, keyring, addresses[first : first + CHUNK], purpose).answers()
    return answers


class _Known:
    """What the database knows of some addresses and one purpose."""

    def __init__(self, connection: Connection, keyring: Keyring, addresses: Sequence[Address], purpose: str) -> None:
        self._connection = connection
        self._purpose = purpose
        self._tags = [address_tags(keyring["index_pepper"], address) for address in addresses]
        self._stops = [{tag for _, tag in suppression_tags(keyring["suppression"], address)} for address in addresses]
        self._of_narrow, self._of_wide = self._people()
        self._pending = self._read_pending()
        self._suppressed = self._read_suppressed()
        self._restricted = self._read_restricted()
        self._states = self._read_states()
        self._leaves = self._read_leaves()
        self._notices = self._read_notices()
        self._customers = self._read_customers()

    def answers(self) -> Iterator[Answer]:
        for tags, stops in zip(self._tags, self._stops, strict=True):
            yield self._answer(tags, stops)

    def _answer(self, tags: AddressTags, stops: set[bytes]) -> Answer:
        own = next((self._of_narrow[one] for one in tags.narrows if one in self._of_narrow), None)
        customer_since_ms = self._customers.get(own) if own is not None else None
        maybe = {*tags.wides} | {handle for wide in tags.wides for handle in self._of_wide.get(wide, ())}
        if maybe & self._pending:
            return Answer(False, PENDING, customer_since_ms=customer_since_ms)
        if suppressed := [self._suppressed[stop] for stop in stops if stop in self._suppressed]:
            return Answer(False, SUPPRESSED, max(suppressed), customer_since_ms=customer_since_ms)
        if own is None:
            return Answer(False, NEVER)
        if own in self._restricted:
            return Answer(False, RESTRICTED, customer_since_ms=customer_since_ms)
        state = self._states.get(own)
        if state is None:
            return Answer(False, NEVER, customer_since_ms=customer_since_ms)
        entry = self._leaves[state.position]
        return Answer(
            state.state == GIVEN,
            state.state,
            state.effective_at_ms,
            entry.id.hex(),
            state.position,
            self._notices.get(state.position),
            customer_since_ms,
        )

    def _people(self) -> tuple[dict[bytes, bytes], dict[bytes, set[bytes]]]:
        """Handle by narrow tag, handles by wide tag."""
        wides = {wide for tags in self._tags for wide in tags.wides}
        by_narrow: dict[bytes, bytes] = {}
        by_wide: dict[bytes, set[bytes]] = {}
        columns = (subject_address.c.narrow, subject_address.c.wide, subject_address.c.subject)
        narrows = {narrow for tags in self._tags for narrow in tags.narrows}
        either = or_(subject_address.c.wide.in_(wides), subject_address.c.narrow.in_(narrows))
        for row in self._connection.execute(select(*columns).where(either)):
            by_narrow[row.narrow] = row.subject
            by_wide.setdefault(row.wide, set()).add(row.subject)
        return by_narrow, by_wide

    def _read_pending(self) -> set[bytes]:
        """Handles and wide tags for which an accepted but not yet recorded withdrawal has stopped the purpose."""
        handles = {handle for found in self._of_wide.values() for handle in found}
        wides = {wide for tags in self._tags for wide in tags.wides}
        matches = or_(pending_withdrawal.c.subject.in_(handles), pending_withdrawal.c.wide.in_(wides))
        rows = self._connection.execute(select(pending_withdrawal).where(matches))
        stopped = [row for row in rows if self._purpose in split(row.purposes)]
        return {one for row in stopped for one in (row.subject, row.wide) if one is not None}

    def _read_suppressed(self) -> dict[bytes, int]:
        """When each tag was last stopped."""
        tags = {tag for stops in self._stops for tag in stops}
        covering = suppression.c.purpose.in_((self._purpose, EVERY_PURPOSE))
        rows = self._connection.execute(select(suppression).where(suppression.c.tag.in_(tags), covering))
        latest: dict[bytes, int] = {}
        for row in rows:
            latest[row.tag] = max(row.effective_at_ms, latest.get(row.tag, 0))
        return latest

    def _own(self) -> set[bytes]:
        return {*self._of_narrow.values()}

    def _read_restricted(self) -> set[bytes]:
        reason = subject.c.restricted_reason
        query = select(subject.c.handle).where(
            subject.c.handle.in_(self._own()), reason.is_not(None), reason != restriction.WITHDRAWN
        )
        return set(self._connection.execute(query).scalars())

    def _read_states(self) -> Mapping[bytes, Any]:
        query = select(consent_state).where(
            consent_state.c.subject.in_(self._own()), consent_state.c.purpose == self._purpose
        )
        return {row.subject: row for row in self._connection.execute(query).all()}

    def _read_leaves(self) -> Mapping[int, Any]:
        columns = (ledger_entry.c.position, ledger_entry.c.id, ledger_entry.c.leaf)
        positions = [state.position for state in self._states.values()]
        query = select(*columns).where(ledger_entry.c.position.in_(positions))
        return {row.position: row for row in self._connection.execute(query)}

    def _read_notices(self) -> dict[int, str | None]:
        """Which privacy text each decision was made about: a confirmation names the request, which names the text."""
        decisions = {position: parse_leaf(row.leaf) for position, row in self._leaves.items()}
        asked = {bytes.fromhex(decision.ref) for decision in decisions.values() if decision.ref}
        query = select(ledger_entry.c.id, ledger_entry.c.leaf).where(ledger_entry.c.id.in_(asked))
        shown = {row.id.hex(): parse_leaf(row.leaf).notice for row in self._connection.execute(query)}
        return {position: decision.notice or shown.get(decision.ref or "") for position, decision in decisions.items()}

    def _read_customers(self) -> dict[bytes, int]:
        """When each first bought something, of what we know."""
        query = select(ledger_entry.c.subject, ledger_entry.c.leaf).where(
            ledger_entry.c.subject.in_(self._own()), ledger_entry.c.kind == Kind.CUSTOMER
        )
        first: dict[bytes, int] = {}
        for row in self._connection.execute(query):
            at_ms = parse_leaf(row.leaf).occurred_at_ms
            if at_ms is not None:
                first[row.subject] = min(at_ms, first.get(row.subject, at_ms))
        return first
