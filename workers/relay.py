"""The relayer: claims due relays, lets threads carry them, and writes down how each ended, many at a time.

A relay ends confirmed, superseded (no longer true when its turn came), or parked with a reason and a ledger entry.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from sqlalchemy import Connection

from ledger import processors, quarantine
from ledger.claiming import claim_due
from ledger.errors import DatabaseAwayError, LedgerError
from ledger.outbox import Relay
from ledger.recorder import MAIL
from schemas.log_line import error_fields, log
from workers.attempt import attempt
from workers.concluding import Attempted, conclude
from workers.context import Context, now_ms
from workers.ending import Superseded
from workers.pace import PACES, Pace, at_once
from workers.relays import RELAYS
from workers.relays.action import RelayError, RelayWait

BUDGET_S = 15.0
AWAY_TRIES, AWAY_WAIT_S = 20, 0.5  # what was done is written down once the database is back, if it is soon


def carry_due(context: Context, *, urgent: bool, paces: Mapping[str, Pace] = PACES) -> int:
    """Carry every due relay of one urgency, within the budget; returns how many were tried."""
    with context.database.read() as connection:
        if quarantine.reason_of(connection) is not None:
            return 0
    return _Round(context, urgent, paces).run()


def all_processors(context: Context) -> list[str]:
    """Whoever relays may be for, the mails among them."""
    return sorted({MAIL, *RELAYS, *context.policy.processors})


class _Round:
    """There is a thread for every claim, so no attempt begins later than it is claimed."""

    def __init__(self, context: Context, urgent: bool, paces: Mapping[str, Pace]) -> None:
        self._context = context
        self._urgent = urgent
        self._paces = paces
        self._processors = all_processors(context)
        self._stop_at = time.monotonic() + BUDGET_S
        self._running: dict[Future[Attempted], str] = {}

    def run(self) -> int:
        total = 0
        ended: list[Attempted] = []
        with ThreadPoolExecutor(sum(map(at_once, self._processors)), thread_name_prefix="relay") as pool:
            while True:
                began_s = time.monotonic()
                for claimed in self._turn(ended):
                    future = pool.submit(_carry, self._context, claimed, began_s, self._paces)
                    self._running[future] = claimed.processor
                if not self._running:
                    return total
                done, _ = wait(self._running, return_when=FIRST_COMPLETED)
                for future in done:
                    del self._running[future]
                ended = [future.result() for future in done]
                total += len(ended)

    def _turn(self, ended: Sequence[Attempted]) -> list[Relay]:
        """One transaction: what has ended is written down, and what can begin is claimed."""
        for _ in range(AWAY_TRIES):
            try:
                with self._context.database.write() as connection:
                    conclude(self._context, connection, ended, now_ms())
                    return self._claim(connection)
            except DatabaseAwayError:
                if not ended:
                    raise
                time.sleep(AWAY_WAIT_S)
            except Exception as error:
                if not ended:
                    raise
                log.error("relays_not_concluded", **error_fields(error))
                self._conclude_alone(ended)
                ended = ()
        raise DatabaseAwayError("database_away")

    def _conclude_alone(self, ended: Iterable[Attempted]) -> None:
        """One of them cannot be written down: the others are. That one is tried again when its lease is over."""
        for one in ended:
            try:
                with self._context.database.write() as connection:
                    conclude(self._context, connection, [one], now_ms())
            except Exception as error:
                log.error("relay_failed", relay=one.claimed.id.hex(), **error_fields(error))

    def _claim(self, connection: Connection) -> list[Relay]:
        if time.monotonic() >= self._stop_at:
            return []
        busy = Counter(self._running.values())
        claimed: list[Relay] = []
        states = processors.lock(connection, self._processors)
        for name in self._processors:
            now = now_ms()
            limit = states[name].can_claim(at_once(name) - busy[name], now)
            if limit <= 0:
                continue
            found = claim_due(connection, name, self._urgent, now, limit)
            if found and (probing := states[name].probing(now)) != states[name]:
                processors.store(connection, probing)
            claimed += found
        return claimed


def _carry(context: Context, claimed: Relay, began_s: float, paces: Mapping[str, Pace]) -> Attempted:
    """Never raises: what goes wrong here is retried or parked in the database."""
    try:
        return Attempted(claimed, attempt(context, claimed, began_s, paces))
    except (Superseded, RelayError, RelayWait) as end:
        return Attempted(claimed, end)
    except Exception as error:
        log.error("relay_failed", relay=claimed.id.hex(), processor=claimed.processor, **error_fields(error))
        return Attempted(claimed, RelayError(error.reason if isinstance(error, LedgerError) else "relay_failed"))
