"""A process that does one deed of the service and dies where it is told: `python -m tests.faults.victim FOLDER`.

Each line on stdin is one order; a child is forked for it, and what became of it is one line on stdout. The code of
the service knows nothing of this: the points lie in the database that it is handed.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app import create_app
from ledger.database import Database
from ledger.keyring import Keyring, load_keyring
from schemas.policy import Policy, load_policy
from schemas.settings import Settings
from tests.faults.variants import DOORS, door_app, record_in_two_steps
from tests.world import settings_for
from webhooks.door import Door
from workers import record, relay
from workers.connections import Connections
from workers.context import Context
from workers.doorbell import Doorbell

# begun: the transaction is open. written: everything is written, nothing is committed. committed: it is.
# answered: the sender has read 200.
POINTS = ("begun", "written", "committed", "answered")
ROLES = {"record": "record", "record_in_two_steps": "record", "relay": "relay"}
DEEDS: Mapping[str, Callable[[Context], int]] = {
    "record": record.drain,
    "record_in_two_steps": record_in_two_steps,
    "relay": lambda context: relay.carry_due(context, urgent=True),
}


class Executioner:
    """Kills its own process at the `number`th time that `point` is reached."""

    def __init__(self, point: str | None, number: int) -> None:
        self._point = point
        self._left = number

    def reach(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class MortalDatabase(Database):
    """A database in whose transactions a process can die."""

    def __init__(self, url: str, executioner: Executioner) -> None:
        super().__init__(url, checkpoints=True)
        self._executioner = executioner

    def write(self) -> contextlib.AbstractContextManager[Connection]:
        return self._mortal(super().write())

    def _write_kept(self) -> contextlib.AbstractContextManager[Connection]:
        return self._mortal(super()._write_kept())

    @contextlib.contextmanager
    def _mortal(self, transaction: contextlib.AbstractContextManager[Connection]) -> Iterator[Connection]:
        with transaction as connection:
            self._executioner.reach("begun")
            yield connection
            self._executioner.reach("written")
        self._executioner.reach("committed")


class Victim:
    """What is slow to load is loaded once, before the forks; what holds a lock or a socket is made by each child."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.policy: Policy = load_policy(settings.policy_file)
        self.keyrings: Mapping[str, Keyring] = {
            role: load_keyring(role, settings.keys_dir) for role in ("web", "record", "relay")
        }
        self.door: Door = create_app(settings).extensions["door"]

    def obey(self, order: Mapping[str, Any], say: Callable[[str], None]) -> None:
        executioner = Executioner(order.get("point"), order.get("number", 1))
        database = MortalDatabase(self.settings.database_url, executioner)
        if order["deed"] in DOORS:
            self._deliver(order, database, say)
            executioner.reach("answered")
            return
        say(str(DEEDS[order["deed"]](self._context(order["deed"], database))))

    def _context(self, deed: str, database: Database) -> Context:
        return Context(
            self.settings,
            self.policy,
            database,
            self.keyrings[ROLES[deed]],
            Doorbell(self.settings.redis_url),
            Connections(self.settings, self.policy),
        )

    def _deliver(self, order: Mapping[str, Any], database: Database, say: Callable[[str], None]) -> None:
        made = replace(self.door, database=database)
        door = DOORS[order["deed"]](**{name: getattr(made, name) for name in Door.__slots__})
        client = door_app(door).test_client()
        answer = client.post(order["path"], data=order["body"].encode(), headers=order["headers"])
        say(str(answer.status_code))


def in_a_child(victim: Victim, order: Mapping[str, Any]) -> dict[str, Any]:
    """Fork, obey, and tell how it ended: the signal (0: none) and what the child said before."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        try:
            victim.obey(order, lambda text: None if os.write(write_end, f"{text}\n".encode()) else None)
            os._exit(0)
        finally:
            os._exit(70)
    os.close(write_end)
    if "after_s" in order:
        threading.Event().wait(order["after_s"])
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(read_end) as pipe:
        said = pipe.read().split()
    _, status = os.waitpid(pid, 0)
    return {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, "exit": status >> 8, "said": said}


def main() -> None:
    folder, changes = Path(sys.argv[1]), json.loads(sys.argv[2])
    victim = Victim(replace(settings_for(folder), **changes))
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # the log goes where it does not disturb
    for line in sys.stdin:
        replies.write(json.dumps(in_a_child(victim, json.loads(line))) + "\n")


if __name__ == "__main__":
    main()
