"""One request from arrival to answer: refusal, replay, planned fault, deed, and the journal's line."""

import json
import os
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.simulators.exchange import Reply, Request, Simulator
from tests.simulators.faults import APPLICATION_FAULT_STATUS, Fault, FaultPlan
from tests.simulators.journal import Journal


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the reply leaves: at once, byte by byte, or never (reply None)."""

    reply: Reply | None
    interval_s: float
    released: threading.Event


class Stage:
    """Holds one simulator, its fault plan and its journal; every deed is done under one lock."""

    def __init__(self, simulator: Simulator, journal: Journal, state_path: Path | None) -> None:
        self.simulator = simulator
        self.journal = journal
        self.faults = FaultPlan()
        self._state_path = state_path
        self._lock = threading.RLock()
        if state_path is not None and state_path.exists():
            simulator.state = json.loads(state_path.read_text())

    def seed(self, document: dict[str, Any]) -> None:
        with self._lock:
            self.simulator.seed(document)
            self._save()

    def snapshot(self) -> Any:
        with self._lock:
            return json.loads(json.dumps(self.simulator.state))

    def play(self, request: Request) -> Delivery:
        """Answer one request, or decide that it gets no answer."""
        at_ms = time.time_ns() // 1_000_000
        with self._lock:
            reply, fault, released = self._decide(request)
        if reply is None:
            reply = self._perform(request) if fault is None else self._spoil(request, fault, released)
        self.journal.append(self._line(at_ms, request, reply, fault))
        if fault is None:
            return Delivery(reply, 0, released)
        released.wait(fault.delay_s if fault.after_effect else 0)
        if fault.hang:
            released.wait()
            return Delivery(None, 0, released)
        return Delivery(reply, fault.interval_s, released)

    def bug(self, request: Request, reason: str) -> Reply:
        """Our own mistake: journalled as a violation so that no test overlooks it."""
        reply = Reply(500, {"simulator_bug": reason}, violation=f"simulator bug: {reason}")
        self.journal.append(self._line(time.time_ns() // 1_000_000, request, reply, None))
        return reply

    def _decide(self, request: Request) -> tuple[Reply | None, Fault | None, threading.Event]:
        refusal = self.simulator.refuse(request)
        due = self.faults.next_for(request)
        if refusal is None and (due is None or due.status == APPLICATION_FAULT_STATUS):
            refusal = self.simulator.replay(request)
        if refusal is not None:
            return refusal, None, threading.Event()
        fault, released = self.faults.use(request)
        return None, fault, released

    def _perform(self, request: Request) -> Reply:
        with self._lock:
            reply = self.simulator.act(request)
            if reply.saved:
                self.simulator.remember(request, reply)
            self._save()
            return reply

    def _spoil(self, request: Request, fault: Fault, released: threading.Event) -> Reply:
        """The fault's answer; the effect and violation of a deed that was done stay on it for the journal."""
        if not fault.after_effect:
            released.wait(fault.delay_s)
        done = self._perform(request) if fault.after_effect or fault.keeps_the_true_answer else Reply(0)
        if fault.keeps_the_true_answer:
            return replace(done, headers={**done.headers, **fault.headers})
        spoilt = self._fault_reply(fault, done)
        if fault.status == APPLICATION_FAULT_STATUS:
            with self._lock:
                self.simulator.remember(request, spoilt)
                self._save()
        return spoilt

    def _fault_reply(self, fault: Fault, done: Reply) -> Reply:
        headers = dict(fault.headers)
        body = fault.body
        status = fault.status or 200
        if fault.redirect is not None:
            status = fault.status or 302
            headers["Location"] = fault.redirect
        elif body is None:
            body = self.simulator.error_body(status)
        return Reply(status, body, headers, effect=done.effect, violation=done.violation)

    def _line(self, at_ms: int, request: Request, reply: Reply, fault: Fault | None) -> dict[str, Any]:
        query, body = self.simulator.decoded(request)
        return {
            "at_ms": at_ms,
            "method": request.method,
            "path": request.path,
            "query": query,
            "body": body,
            "idempotency_key": request.headers.get("idempotency-key") or request.headers.get("webhook-id"),
            "status": None if fault is not None and fault.hang else reply.status,
            "effect": reply.effect,
            "violation": reply.violation,
            "fault": None if fault is None else fault.label,
            "replayed": reply.replayed,
        }

    def _save(self) -> None:
        if self._state_path is None:
            return
        draft = self._state_path.with_name(self._state_path.name + ".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(self.simulator.state))
        os.replace(draft, self._state_path)
