"""Whether what came in is carried on: work that waits, the clock, the signer, quarantine, publishing."""

from collections.abc import Callable, Iterator

from sqlalchemy import func, select

from console.doctor.finding import FAULT, OK, WARNING, Finding
from console.operator import Operator, at
from ledger import quarantine as halted
from ledger.checkpoints import read_state
from ledger.heartbeat import last_beat_ms
from ledger.keyring import SIGNER_STATE
from ledger.log import size
from ledger.tables import inbox, relay
from workers.context import now_ms
from workers.outlets import standings

LATE_MS = 15 * 60 * 1000
CLOCK_LATE_MS = 3 * 60 * 1000  # it beats once a minute


def work(operator: Operator) -> Iterator[Finding]:
    now = now_ms()
    with operator.context.database.read() as connection:
        parked = connection.execute(select(func.count()).where(inbox.c.status == "parked")).scalar_one()
        oldest = connection.execute(select(func.min(inbox.c.received_at_ms)).where(inbox.c.status == "new")).scalar()
        stuck = connection.execute(select(func.count()).where(relay.c.status == "parked")).scalar_one()
        waiting = (relay.c.status == "pending") & (relay.c.urgent == 1)
        since = connection.execute(select(func.min(relay.c.created_at_ms)).where(waiting)).scalar()
    late: Callable[[int | None], bool] = lambda moment: moment is not None and now - moment > LATE_MS  # noqa: E731
    yield Finding(WARNING if parked else OK, "work", f"{parked} deliveries parked")
    yield Finding(WARNING if stuck else OK, "work", f"{stuck} relays parked")
    if late(oldest):
        yield Finding(FAULT, "work", "a delivery has waited over 15 minutes: is the recorder running?")
    if late(since):
        yield Finding(FAULT, "work", "a withdrawal has waited over 15 minutes: is the relayer running?")


def clock(operator: Operator) -> Iterator[Finding]:
    with operator.context.database.read() as connection:
        seen_ms = last_beat_ms(connection, "clock")
    if seen_ms is None:
        yield Finding(WARNING, "clock", "never seen: is it running? It signs, and rings for what waits")
        return
    ago_s = max(0, now_ms() - seen_ms) // 1000
    level = OK if ago_s * 1000 < CLOCK_LATE_MS else FAULT
    yield Finding(level, "clock", f"seen {ago_s} s ago")


def publishing(operator: Operator) -> Iterator[Finding]:
    with operator.context.database.read() as connection:
        found = standings(connection, operator.settings, now_ms())
    if not found:
        yield Finding(
            WARNING, "publishing", "no checkpoint is kept elsewhere: docs/guides/keep-checkpoints-elsewhere.md"
        )
    for one in found:
        yield Finding(
            WARNING if one.is_late else OK, "publishing", f"{one.name}: last {at(one.published_at_ms) or 'never'}"
        )


def quarantine(operator: Operator) -> Iterator[Finding]:
    with operator.context.database.read() as connection:
        reason = halted.reason_of(connection)
    if reason is not None:
        yield Finding(FAULT, "quarantine", f"{reason}: nothing is recorded or carried; docs/guides/restore.md")


def signer(operator: Operator) -> Iterator[Finding]:
    state = read_state(operator.settings.keys_dir / SIGNER_STATE)
    with operator.context.database.read() as connection:
        entries = size(connection)
    if entries < state.size:
        yield Finding(FAULT, "ledger", f"{entries} entries, but {state.size} were signed: was a backup restored?")
    else:
        yield Finding(OK, "ledger", f"{entries} entries, {state.size} signed")
