"""Senders as they are in the world: several at once, each trying again until it reads 200, and a journal of it all."""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from standardwebhooks.webhooks import Webhook

from schemas.settings import form_secrets_name
from tests.stack import Stack

HOST = "127.0.0.1"
THREADS = 8
ANSWER_WAIT_S = 15.0
PAUSE_S = 0.1  # between two attempts at the same delivery
FINISH_WAIT_S = 180.0
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one attempt read. No status: the connection was refused, cut or silent."""

    status: int | None
    took_s: float
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def post(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """One attempt on a connection of its own."""
    started_s = time.monotonic()
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_WAIT_S)
    try:
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        read = response.read()
        return Answer(response.status, time.monotonic() - started_s, read, tuple(response.getheaders()))
    except (OSError, http.client.HTTPException):
        return Answer(None, time.monotonic() - started_s)
    finally:
        connection.close()


class SignedForm:
    """Makes signed requests to one form of a stack. A retry keeps its id and is signed anew, as senders do."""

    def __init__(self, stack: Stack, form: str) -> None:
        self.path = f"/webhooks/forms/{form}"
        self._webhook = Webhook(stack.setting(form_secrets_name(form)).split(",")[0])

    def headers(self, message_id: str, body: bytes) -> dict[str, str]:
        now = datetime.now(UTC)
        signature = self._webhook.sign(message_id, now, body.decode())
        signed = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp()))}
        return {**JSON, **signed, "webhook-signature": signature}


@dataclass
class Journal:
    """What the senders know: who was told 200, every answer on the way, and the slowest of them."""

    acknowledged: list[str] = field(default_factory=list)
    answers: Counter[int | None] = field(default_factory=Counter)
    slowest_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, message_id: str, answer: Answer) -> None:
        with self._lock:
            self.answers[answer.status] += 1
            if answer.status is not None:
                self.slowest_s = max(self.slowest_s, answer.took_s)
            if answer.status == 200:
                self.acknowledged.append(message_id)


def fresh_name() -> str:
    """New every time, and of letters only: eight digits and a number may be an identity number, which is dropped."""
    return uuid4().hex[:8].translate(str.maketrans("0123456789", "ghijklmnop"))


class Campaign:
    """`count` deliveries of one form from eight threads. `start()`, then break something, then `finish()`.

    `body_of(number)` is the delivery's content, `name` begins its id; each thread rests `rest_s` after each.
    """

    def __init__(
        self,
        stack: Stack,
        name: str,
        count: int,
        form: str = "newsletter",
        body_of: Callable[[int], Mapping[str, Any]] | None = None,
        rest_s: float = 0.0,
    ) -> None:
        self.name = name
        self.count = count
        self.journal = Journal()
        self._stack = stack
        self._form = SignedForm(stack, form)
        self._body_of = body_of or (lambda number: {"email": f"{name}-{number}@example.org", "newsletter": "yes"})
        self._rest_s = rest_s
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"sender-{number}") for number in range(THREADS)]

    @property
    def progress(self) -> int:
        return len(self.journal.acknowledged)

    def start(self) -> "Campaign":
        for thread in self._threads:
            thread.start()
        return self

    def wait_for_progress(self, number: int) -> None:
        """Until so many were acknowledged: what is broken next is broken under load."""
        self._stack.wait_for(lambda: self.progress >= number, f"for {number} acknowledged", FINISH_WAIT_S)

    def finish(self) -> Journal:
        """Wait until each delivery was answered 200."""
        try:
            self.wait_for_progress(self.count)
        finally:
            self.stop()
        return self.journal

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _run(self) -> None:
        while not self._stop.is_set() and (number := next(self._numbers)) < self.count:
            self._deliver(f"msg_{self.name}_{number}", json.dumps(self._body_of(number)).encode())
            self._stop.wait(self._rest_s)

    def _deliver(self, message_id: str, body: bytes) -> None:
        while not self._stop.is_set():
            answer = post(self._stack.port, self._form.path, body, self._form.headers(message_id, body))
            self.journal.note(message_id, answer)
            if answer.status == 200:
                return
            self._stop.wait(PAUSE_S)
