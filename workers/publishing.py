"""The publisher: takes every new checkpoint out of the house, each way by itself, again and again until it is out.

Who holds the house can write another history and sign it; what has left it still says what the first one was.
"""

import threading
import time
from collections.abc import Sequence

from ledger import quarantine
from ledger.database import Database
from ledger.heartbeat import beat
from workers.context import Context, now_ms
from workers.guarded import guarded, quarantining
from workers.outlets import Outlet, folder_outlets, witness_outlets

INTERVAL_S = 10.0
PATIENCE_S = 30.0  # for the outlets of one wave; what is not done then goes on alone
RETRY_MS, RETRY_MAX_MS = 5 * 60_000, 3_600_000  # after a failure; doubled after each further one


class Publisher:
    """`waves`: outlets that work at the same time; a wave begins when the one before is done or patience is over.

    Witnesses come first, so that what is kept elsewhere usually carries their lines already.
    """

    def __init__(self, context: Context, waves: Sequence[Sequence[Outlet]] | None = None) -> None:
        if waves is None:
            waves = witness_outlets(context), folder_outlets(context)
        self._waves = [[_Worker(context.database, outlet) for outlet in wave] for wave in waves]

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(INTERVAL_S):
            self.publish(now_ms())

    def publish(self, at_ms: int) -> None:
        """Everything that is due; returns when it is out, has failed, or hangs."""
        for wave in self._waves:
            for worker in wave:
                worker.start(at_ms)
            give_up_at = time.monotonic() + PATIENCE_S
            for worker in wave:
                worker.wait(give_up_at - time.monotonic())


class _Worker:
    """One outlet, in a thread that may hang: then nothing more is asked of it until it returns."""

    def __init__(self, database: Database, outlet: Outlet) -> None:
        self._database = database
        self._outlet = outlet
        self._thread: threading.Thread | None = None
        self._rests_until_ms = 0
        self._failures = 0
        self._anew = True

    def start(self, at_ms: int) -> None:
        if at_ms < self._rests_until_ms or (self._thread is not None and self._thread.is_alive()):
            return
        # A daemon, for a folder on a network may never answer: all that is written is whole or not there.
        self._thread = threading.Thread(target=self._work, args=(at_ms,), daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> None:
        if self._thread is not None:
            self._thread.join(max(timeout_s, 0))

    def _work(self, at_ms: int) -> None:
        is_out = guarded(self._outlet.name, lambda: self._publish(at_ms))
        if is_out is None:
            self._rests_until_ms = at_ms + min(RETRY_MS << self._failures, RETRY_MAX_MS)
            self._failures += 1
            return
        self._failures = 0
        if is_out:
            self._anew = False
            self._rests_until_ms = at_ms + self._outlet.rest_ms

    def _publish(self, at_ms: int) -> bool:
        with self._database.read() as connection:
            if quarantine.reason_of(connection) is not None:
                return False  # which history is ours must be settled first
        is_out = False
        with quarantining(self._database):
            is_out = self._outlet.publish(at_ms, self._anew)
            if is_out:
                beat(self._database, self._outlet.name, at_ms)
        return is_out
