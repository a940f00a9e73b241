"""What a relay is asked to do, what it may answer, and the one error it raises."""

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from schemas.policy import Product
from workers.outgoing import OutgoingError

# A vendor may slow a withdrawal down, not put it off until tomorrow.
RETRY_AFTER_MAX_S = 3600.0
HTTP_DATE_SIZE_MAX = 64
BUSY_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.TOO_EARLY})


class Outcome(StrEnum):
    """What is true at the processor now, as far as it has been read back.

    Of withdrawals and erasures: removed, retained (with a reason, and until when), not_found. Of everything else: done
    or not_found. not_covered: the processor cannot do it by itself, so a person must.
    """

    DONE = "done"
    REMOVED = "removed"
    RETAINED = "retained"
    NOT_FOUND = "not_found"
    NOT_COVERED = "not_covered"


@dataclass(frozen=True, slots=True)
class RelayAction:
    """One deed for one person at one processor.

    `emails`: every address by which the processor may know the person, oldest first; those that are no longer the
    person's too.
    `attempt_epoch` is raised when `RelayError.new_epoch` asks for it. `profile`, of a rectification: what is right now,
    field to value, an empty text for none; its `email` is the address that is right. `product`, of access.
    `notes`: what an earlier attempt left with `RelayWait`.
    """

    reference: str
    emails: tuple[str, ...] = field(repr=False)
    purposes: tuple[str, ...]
    occurred_at_ms: int
    attempt_epoch: int
    profile: Mapping[str, str] = field(default_factory=dict, repr=False)
    product: Product | None = None
    notes: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def idempotency_key(self, step: str) -> str:
        return f"relay:{self.reference}:{step}:{self.attempt_epoch}"


@dataclass(frozen=True, slots=True)
class RelayResult:
    """How a relay ended. `reason` is a stable word, never a vendor's sentence."""

    outcome: Outcome
    reason: str | None = None
    retained_until_ms: int | None = None


class RelayError(Exception):
    """A relay did not end. Carries a stable reason and, where there was one, the HTTP status; nothing else.

    permanent: trying again cannot help, park it. retry_after_s: what the processor asked for, within our
    limit. halt: our credentials or configuration are wrong, so pause the whole processor. new_epoch: the
    processor would answer the old idempotency key from memory, so the next attempt needs a new one.
    """

    def __init__(
        self,
        reason: str,
        *,
        permanent: bool = False,
        retry_after_s: float | None = None,
        halt: bool = False,
        new_epoch: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(reason if status is None else f"{reason} ({status})")
        self.reason = reason
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.halt = halt
        self.new_epoch = new_epoch
        self.status = status


class RelayWait(Exception):  # noqa: N818 - not an error: the processor needs time, and said so
    """The processor has begun and is not done: ask again in `wait_s` seconds, which may be months in all.

    `reason`: at which step, as a word. `notes`: a JSON object of the vendor's own ids, sealed until the next attempt;
    they replace the earlier ones.
    `keeps_addresses`: False once the ids are enough; then the addresses are wiped, and `emails` is empty from here on.
    """

    def __init__(self, reason: str, wait_s: float, notes: Mapping[str, Any], *, keeps_addresses: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s
        self.notes = notes
        self.keeps_addresses = keeps_addresses


class Presence(StrEnum):
    """What a processor says of a purpose, when it is only asked: `observe`."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"  # it has no such person, or cannot tell


def system_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def parse_retry_after(value: str | None, now_ms: int) -> float | None:
    """Seconds to wait by a Retry-After header: delay-seconds or an HTTP date (RFC 9110, 10.2.3), at most
    RETRY_AFTER_MAX_S. None where there is none, or it is negative, past or garbage."""
    text = (value or "").strip()
    if re.fullmatch("[0-9]+", text):
        # Anything with more digits is over the limit, and int() refuses the very long ones.
        return min(float(int(text[:10])), RETRY_AFTER_MAX_S)
    if not text or len(text) > HTTP_DATE_SIZE_MAX:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        wait_s = moment.timestamp() - now_ms / 1000
    except (ValueError, OverflowError):
        return None
    return min(wait_s, RETRY_AFTER_MAX_S) if wait_s >= 0 else None


def error_for_status(status: int, retry_after: str | None, now_ms: int) -> RelayError:
    """The error that an HTTP status means at every processor; each relay handles its own exceptions first."""
    retry_after_s = parse_retry_after(retry_after, now_ms)
    if status == HTTPStatus.UNAUTHORIZED:
        return RelayError("unauthorized", halt=True, status=status)
    if status == HTTPStatus.FORBIDDEN:
        return RelayError("forbidden", halt=True, status=status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RelayError("rate_limited", retry_after_s=retry_after_s, status=status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RelayError("server_error", retry_after_s=retry_after_s, status=status)
    if status in BUSY_STATUSES:
        return RelayError("busy", retry_after_s=retry_after_s, status=status)
    if status >= HTTPStatus.BAD_REQUEST:
        return RelayError("rejected", permanent=True, status=status)
    return RelayError("unexpected_answer", status=status)


def error_for_transport(error: OutgoingError) -> RelayError:
    return RelayError(error.reason, permanent=error.permanent)
