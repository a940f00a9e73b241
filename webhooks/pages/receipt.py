"""The receipt page: anybody drops a receipt and sees what it proves, or what is wrong with it. Nothing of it is kept.

What it says of today (still in force, still in the ledger, what is left after an erasure) is told to whoever holds a
receipt that verifies, and to nobody else.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy import Connection
from werkzeug.exceptions import RequestEntityTooLarge

from ledger.check import pending_of
from ledger.checkpoints import newest_checkpoint
from ledger.erasure_answer import erasure_answer
from ledger.errors import LedgerError, NotFoundError
from ledger.log import root, size
from ledger.published_keys import CHECKPOINT, RECEIPT, published
from ledger.receipt_facts import ReceiptError
from ledger.receipt_verification import Proven, verify_receipt
from ledger.state import GIVEN, ConsentState, read_states
from schemas.entry import Kind, parse_time
from schemas.erasures import UNLIMITED
from schemas.refusal import Refused
from schemas.texts import mark
from webhooks.door import Door
from webhooks.limits import RateLimit
from webhooks.pages.rendering import page

UPLOAD_SIZE_MAX_BYTES = 480 * 1024  # werkzeug keeps more than 500 KiB of an upload in a file, and we keep nothing
READS_PER_S, READS_BURST = 0.5, 30
SAYS = {
    Kind.REQUESTED: mark("You signed up, and a mail asked whether it was you"),
    Kind.GIVEN: mark("You gave your consent"),
    Kind.REFUSED: mark("You were asked, and did not say yes"),
    Kind.WITHDRAWN: mark("You withdrew your consent"),
    Kind.REVOKED: mark("We ended the consent"),
    Kind.EXPIRED: mark("The sign-up was never confirmed, and was deleted"),
    Kind.ERASED: mark("Everything about you was deleted"),
}


@dataclass(frozen=True, slots=True)
class _Line:
    """One entry in words. `in_force`: of a consent, whether it still is; None where that says nothing."""

    says: str
    purpose: Any
    at_ms: int
    position: int
    in_force: bool | None


def receipt_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("receipt", __name__)
    limit = RateLimit(READS_PER_S, READS_BURST)

    @blueprint.get("/receipt")
    def ask() -> Response:
        return page(door, "receipt.html")

    @blueprint.post("/receipt")
    def read() -> Response:
        if wait_s := limit.take(request.remote_addr or "", time.monotonic()):
            raise Refused(429, "too_many_deliveries", math.ceil(wait_s))
        receipt = _uploaded()
        try:
            with door.database.read() as connection:
                keys = published(connection, RECEIPT), published(connection, CHECKPOINT)
                proven = verify_receipt(receipt, *keys)
                told = _today(door, connection, proven)
        except ReceiptError as error:
            return page(door, "receipt_wrong.html", reason=error.reason)
        return page(door, "receipt_right.html", proven=proven, made_ms=parse_time(proven.created_at), **told)

    return blueprint


def _uploaded() -> bytes:
    """The file, or the text. Raises Refused 413, or 400 where there is neither."""
    request.max_content_length = UPLOAD_SIZE_MAX_BYTES
    try:
        file = request.files.get("file")
        receipt = (file.read() if file is not None else b"") or request.form.get("text", "").strip().encode()
    except RequestEntityTooLarge:
        raise Refused(413, "body_too_large") from None
    if not receipt:
        raise Refused(400, "receipt_missing")
    return receipt


def _today(door: Door, connection: Connection, proven: Proven) -> dict[str, Any]:
    handle = bytes.fromhex(proven.entries[0].leaf["subject"])
    states, pending = read_states(connection, handle), pending_of(connection, handle)
    lines = []
    for entry in proven.entries:
        leaf = entry.leaf
        key = leaf.get("purpose")
        known = door.policy.purposes.get(key or "")
        now = states.get(key or "", ConsentState())
        # A later yes is another one, with a receipt of its own.
        holds = now.state == GIVEN and now.position == entry.position and key not in pending
        in_force = holds if leaf["kind"] == Kind.GIVEN else None
        at_ms = parse_time(leaf.get("occurred_at", leaf["recorded_at"]))
        lines.append(_Line(SAYS[Kind(leaf["kind"])], known.name if known else None, at_ms, entry.position, in_force))
    return {
        "lines": lines,
        "is_in_ledger": _is_in_ledger(connection, proven),
        "copies": _copies(door, connection, handle),
    }


def _is_in_ledger(connection: Connection, proven: Proven) -> bool:
    """Whether today's ledger still begins with the very entries that the receipt's checkpoint covers."""
    checkpoint, newest = proven.checkpoint, newest_checkpoint(connection)
    if newest is None or size(connection) < checkpoint.size:
        return False
    try:
        return root(connection, checkpoint.size) == checkpoint.root
    except LedgerError:
        return False


def _copies(door: Door, connection: Connection, handle: bytes) -> list[tuple[str, Any, int | None, Any]]:
    """After an erasure: who, what, until when if that is known, what to say otherwise."""
    try:
        answer = erasure_answer(connection, door.policy, handle)
    except NotFoundError:
        return []
    names = {key: processor.name for key, processor in door.policy.processors.items()}
    return [
        (
            names.get(one.processor, one.processor),
            one.named,
            one.until_ms,
            UNLIMITED,
        )
        for one in answer.copies
    ]
