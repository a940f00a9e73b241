"""Stripe's redaction jobs: what a request may hold, in the words of its OpenAPI, and what a job then does.

The description of 2023 does not know them, and neither does the SDK that we use: they are a public preview. Parameters
from stripe/params/privacy/_redaction_job_*_params.py of stripe-python's preview releases (15.4.0b1), steps and error
codes from https://docs.stripe.com/api/privacy/redaction-job and https://docs.stripe.com/privacy/redaction. How long a
step takes is assumed: one question for each. That a job takes ten objects is assumed to be a refusal of the request.
That a job fails for a deleted customer or for metadata is not simulated: whether it does is not written anywhere.
"""

import time
from collections.abc import Mapping
from typing import Any

from tests.simulators import stripe_objects as objects
from tests.simulators.exchange import Reply
from tests.simulators.stripe_schema import Call

State = dict[str, Any]
Headers = Mapping[str, str]
AS_OF = "2026-11-25"
OBJECTS_PER_JOB = 10
REDACTABLE_AFTER_S = 90 * 86_400
COLLECTIONS = {
    "charges": "charges",
    "checkout_sessions": "sessions",
    "customers": "customers",
    "invoices": "invoices",
    "payment_intents": "payment_intents",
}
_TEXT = {"type": "string", "maxLength": 5000}
_IDS = {"type": "array", "items": _TEXT}
_OBJECTS = (*COLLECTIONS, "identity_verification_sessions", "issuing_cardholders", "issuing_cards") + (
    "radar_value_list_items",
    "setup_intents",
)
_BEHAVIOR = {"type": "string", "enum": ["error", "fix"]}
JOBS, JOB = "/v1/privacy/redaction_jobs", "/v1/privacy/redaction_jobs/{job}"


def _operation(properties: Mapping[str, Any] | None = None, required: tuple[str, ...] = ()) -> dict[str, Any]:
    body = {"type": "object", "properties": dict(properties or {}), "required": list(required)}
    return {"requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": body}}}, "parameters": []}


_CREATED = {
    "objects": {"type": "object", "properties": dict.fromkeys(_OBJECTS, _IDS)},
    "validation_behavior": _BEHAVIOR,
}
_LISTED = {"limit": {"type": "integer"}, "expand": _IDS, "status": _TEXT, "starting_after": _TEXT}
PATHS: dict[str, Any] = {
    JOBS: {"post": _operation(_CREATED, ("objects",)), "get": _operation(_LISTED)},
    JOB: {"get": _operation()},
    f"{JOB}/run": {"post": _operation()},
    f"{JOB}/validate": {"post": _operation()},
    f"{JOB}/validation_errors": {"get": _operation()},
}


def unavailable(state: State, call: Call, headers: Headers) -> Reply | None:
    """An account that may not, or a request of a version that does not know it, gets what any wrong path gets."""
    if state["preview"] and headers.get("Stripe-Version", "").endswith(".preview"):
        return None
    return objects.error(404, "invalid_request_error", f"Unrecognized request URL ({call.method}: {call.template}).")


def create_job(state: State, call: Call, headers: Headers) -> Reply:
    wanted = call.parameters["objects"]
    if sum(map(len, wanted.values())) > OBJECTS_PER_JOB:
        return objects.error(400, "invalid_request_error", "Too many objects.", param="objects")
    for kind, ids in wanted.items():
        for each in ids:
            if each not in state[COLLECTIONS.get(kind, "customers")]:
                return objects.missing("objects", each, kind)
    job = {
        "id": objects.new_id("prj_", 24),
        "object": "privacy.redaction_job",
        "created": int(time.time()),
        "livemode": False,
        "objects": wanted,
        "status": "validating",
        "validation_behavior": call.parameters.get("validation_behavior", "error"),
    }
    state["redaction_jobs"][job["id"]] = job
    return Reply(200, dict(job), effect="privacy.redaction_job.created")


def list_jobs(state: State, call: Call, _: Headers) -> Reply:
    """What a job is about has to be asked for (`objects` is expandable)."""
    shown = {"data.objects"} & {*call.parameters.get("expand", ())}
    jobs = [{**each, "objects": each["objects"] if shown else None} for each in state["redaction_jobs"].values()]
    return objects.page(call.template, jobs, call.parameters, lambda _: True)


def get_job(state: State, call: Call, _: Headers) -> Reply:
    """Asking moves it on: assumed."""
    job = state["redaction_jobs"].get(call.path_values[0])
    if job is None:
        return objects.missing("job", call.path_values[0], "redaction_job")
    if job["status"] == "validating":
        job["status"] = "failed" if findings(state, job) else "ready"
    elif job["status"] == "redacting":
        job["status"] = "succeeded"
        for each in _of_job(state, job):
            _redact(each)
    return Reply(200, dict(job))


def run_job(state: State, call: Call, _: Headers) -> Reply:
    return _move(state, call, ("ready",), "redacting")


def validate_job(state: State, call: Call, _: Headers) -> Reply:
    return _move(state, call, ("failed", "ready"), "validating")


def list_findings(state: State, call: Call, _: Headers) -> Reply:
    job = state["redaction_jobs"].get(call.path_values[0])
    if job is None:
        return objects.missing("job", call.path_values[0], "redaction_job")
    return Reply(200, {"object": "list", "url": call.template, "has_more": False, "data": findings(state, job)})


def findings(state: State, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Too young, disputed, unpaid, or in another job that has not ended."""
    found = [_finding(each["id"], "invalid_state") for each in _of_job(state, job) if _is_in_use(each)]
    mine = {each["id"] for each in _of_job(state, job)}
    for other in state["redaction_jobs"].values():
        under_way = other["id"] != job["id"] and other["status"] not in ("succeeded", "canceled")
        if under_way and mine & {each["id"] for each in _of_job(state, other)}:
            found.append(_finding(job["id"], "locked_by_other_job"))
    return found


def _finding(of: str, code: str) -> dict[str, Any]:
    message = f"{of} cannot be redacted for kari@example.no"  # Stripe's sentence may name anybody
    return {"id": objects.new_id("prve_", 24), "code": code, "message": message, "erroring_object": {"id": of}}


def _is_in_use(each: objects.Object) -> bool:
    if each["object"] == "customer":
        return False
    young = each["created"] > time.time() - REDACTABLE_AFTER_S
    return young or each.get("status") == "open" or each.get("disputed", False)


def _of_job(state: State, job: Mapping[str, Any]) -> list[objects.Object]:
    return [state[COLLECTIONS[kind]][each] for kind, ids in job["objects"].items() for each in ids]


def _move(state: State, call: Call, from_states: tuple[str, ...], to: str) -> Reply:
    job = state["redaction_jobs"].get(call.path_values[0])
    if job is None:
        return objects.missing("job", call.path_values[0], "redaction_job")
    if job["status"] not in from_states:
        return objects.error(400, "invalid_request_error", f"The job is {job['status']}.")
    job["status"] = to
    return Reply(200, dict(job), effect=f"privacy.redaction_job.{to}")


def _redact(each: objects.Object) -> None:
    """The placeholder is Stripe's: https://docs.stripe.com/privacy/redaction-integration."""
    for name in ("email", "name", "customer_email", "customer_name", "receipt_email", "description"):
        if each.get(name):
            each[name] = "[redacted]"
    for name in ("customer_details", "billing_details"):
        if each.get(name):
            each[name] = {**each[name], "email": "[redacted]", "name": "[redacted]"}
    each["metadata"] = {}
