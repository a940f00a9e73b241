"""Redaction jobs: payments and invoices made unreadable, 90 days after the last of them at the earliest.

A public preview (https://docs.stripe.com/privacy/redaction) that the SDK has no methods for and an account may lack. A
job validates, is ready, is told to run, redacts and succeeds; where it fails, it is validated again every day for a
month, because what stands in its way is for the operator to settle.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import stripe

from workers.relays.action import Outcome, RelayAction, RelayError, RelayResult, RelayWait
from workers.relays.stripe.listing import is_id
from workers.relays.stripe.survey import KINDS, Survey

JOBS = "/v1/privacy/redaction_jobs"
VERSION = "2026-10-28.preview"
OBJECTS_PER_JOB = 10
JOBS_LISTED = 100
VALIDATION_S, REDACTION_S, DAY_S = 60.0, 3600.0, 86_400.0
SETTLED_WITHIN_MS = 30 * 86_400_000
UNDER_WAY = {"created": VALIDATION_S, "validating": VALIDATION_S, "ready": VALIDATION_S, "redacting": REDACTION_S}
# https://docs.stripe.com/api/privacy/redaction-job-validation-error/object
CODES = frozenset(
    {"invalid_cascading_source", "invalid_file_purpose", "invalid_state", "locked_by_other_job", "too_many_objects"}
)


def redact(client: stripe.StripeClient, action: RelayAction, now_ms: int) -> RelayResult:
    """One step of every job. Raises RelayWait until all have succeeded, RelayError where one cannot."""
    try:
        return _step(client, action, now_ms)
    except stripe.InvalidRequestError as error:
        if error.http_status == HTTPStatus.NOT_FOUND:  # of the path too, where the account lacks the preview
            raise RelayError("redaction_not_available", permanent=True, status=error.http_status) from None
        raise


def _step(client: stripe.StripeClient, action: RelayAction, now_ms: int) -> RelayResult:
    notes = dict(action.notes)
    if "jobs" not in notes:
        known, chunks = _jobs(client), enumerate(_chunks(Survey.of(notes).objects))
        keyed = [(chunk, action.idempotency_key(f"redact-{at}")) for at, chunk in chunks]
        notes["jobs"] = [_create(client, known, chunk, key) for chunk, key in keyed]
        raise RelayWait("redaction_validating", VALIDATION_S, notes, keeps_addresses=False)
    waits = [_advance(client, job, action, notes, now_ms) for job in notes["jobs"]]
    if any(wait_s for wait_s in waits):
        raise RelayWait("redaction_running", max(waits), notes, keeps_addresses=False)
    return RelayResult(Outcome.REMOVED)


def _chunks(objects: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    for begin in range(0, len(objects), OBJECTS_PER_JOB):
        chunk: dict[str, list[str]] = {}
        for each in objects[begin : begin + OBJECTS_PER_JOB]:
            chunk.setdefault(KINDS[each.partition("_")[0]], []).append(each)
        yield chunk


def _jobs(client: stripe.StripeClient) -> list[Mapping[str, Any]]:
    """The newest; one whose creation was never answered is among them, and a second would lock it out."""
    found = _call(client, "get", JOBS, of_job=False, limit=JOBS_LISTED, expand=["data.objects"]).get("data")
    jobs = found if isinstance(found, list) else []
    return [job for job in jobs if is_id(job.get("id"), "prj") and job.get("status") != "canceled"]


def _create(
    client: stripe.StripeClient, known: Sequence[Mapping[str, Any]], chunk: Mapping[str, list[str]], key: str
) -> str:
    for job in known:
        if _holds(job, chunk):
            return str(job["id"])
    # "fix" only detaches and cancels what is unused (https://docs.stripe.com/privacy/redaction); the rest it refuses.
    job = _call(client, "post", JOBS, key, objects=chunk, validation_behavior="fix")
    return str(job["id"])


def _holds(job: Mapping[str, Any], chunk: Mapping[str, list[str]]) -> bool:
    objects = job.get("objects")
    return isinstance(objects, dict) and {kind: ids for kind, ids in objects.items() if ids} == chunk


def _advance(
    client: stripe.StripeClient, job_id: str, action: RelayAction, notes: Mapping[str, Any], now_ms: int
) -> float:
    """Seconds until it is worth asking again; 0 once the job has succeeded."""
    status = _call(client, "get", f"{JOBS}/{job_id}")["status"]
    if status == "succeeded":
        return 0
    if status == "failed":
        _settle_later(client, job_id, action, notes, now_ms)
    if status == "ready":
        _call(client, "post", f"{JOBS}/{job_id}/run", action.idempotency_key(f"run-{job_id}"))
    elif status not in UNDER_WAY:
        raise RelayError("redaction_canceled", permanent=True)
    return UNDER_WAY[status]


def _settle_later(
    client: stripe.StripeClient, job_id: str, action: RelayAction, notes: Mapping[str, Any], now_ms: int
) -> None:
    """Have the job validated once more, and wait a day. A replay by an operator, a new epoch, begins another month."""
    failed = notes.get("failed", {})
    if failed.get("epoch") != action.attempt_epoch:
        failed = {"epoch": action.attempt_epoch, "since_ms": now_ms, "validations": 0}
    reason = _why(client, job_id)
    if now_ms - failed["since_ms"] > SETTLED_WITHIN_MS:
        raise RelayError(reason, permanent=True)
    failed = {**failed, "validations": failed["validations"] + 1}
    key = action.idempotency_key(f"validate-{job_id}-{failed['validations']}")
    _call(client, "post", f"{JOBS}/{job_id}/validate", key)
    raise RelayWait(reason, DAY_S, {**notes, "failed": failed}, keeps_addresses=False)


def _why(client: stripe.StripeClient, job_id: str) -> str:
    data = _call(client, "get", f"{JOBS}/{job_id}/validation_errors", of_job=False).get("data")
    codes = [each.get("code") for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    return next((f"redaction_{code}" for code in codes if code in CODES), "redaction_refused")


def _call(
    client: stripe.StripeClient, method: str, path: str, key: str | None = None, *, of_job: bool = True, **wanted: Any
) -> Mapping[str, Any]:
    options = {"stripe_version": VERSION} | ({} if key is None else {"idempotency_key": key})
    answer = client.raw_request(method, path, **wanted, **options).data
    if not isinstance(answer, dict):
        raise RelayError("unexpected_answer")
    if of_job and not (is_id(answer.get("id"), "prj") and isinstance(answer.get("status"), str)):
        raise RelayError("unexpected_answer")
    return answer
