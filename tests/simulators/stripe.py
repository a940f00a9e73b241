"""Stripe, as far as the relays use it: customers and what hangs on them, guests, events, idempotency keys, redaction.

Facts from https://docs.stripe.com/api (customers, events, idempotent_requests, errors). A request that breaks
the published description is answered 400 of type `contract_violation`, and a planned fault never hides that.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from tests.simulators import stripe_commerce as commerce
from tests.simulators import stripe_objects as objects
from tests.simulators.exchange import Reply, Request, SeedError, Simulator, check_seed_names
from tests.simulators.server import argument_parser, serve
from tests.simulators.stripe_contract import FORM, StripeContract
from tests.simulators.stripe_deeds import DEEDS
from tests.simulators.stripe_schema import Call, ContractViolation, decode_brackets

SEED_NAMES = frozenset({"customers", "guests", "events", "idempotency", "preview", *commerce.MADE})
IDEMPOTENCY_KEY_SIZE_MAX_CHARACTERS = 255
FAULTS = {
    400: {"type": "invalid_request_error", "message": "Invalid request."},
    403: {"type": "invalid_request_error", "message": "The provided key does not have the required permissions."},
    409: {"type": "invalid_request_error", "code": "lock_timeout", "message": "This object cannot be accessed now."},
    429: {"type": "invalid_request_error", "code": "rate_limit", "message": "Request rate limit exceeded."},
}


def body_pairs(request: Request) -> list[tuple[str, str]]:
    return parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)


def reply_headers(request: Request) -> dict[str, str]:
    headers = {"Request-Id": objects.new_id("req_", 14)}
    for name in ("Idempotency-Key", "Stripe-Version"):
        if name.lower() in request.headers:
            headers[name] = request.headers[name.lower()]
    return headers


class Stripe(Simulator):
    """Deleted customers stay, as at Stripe; idempotency keys are remembered for as long as the simulator is."""

    def __init__(self) -> None:
        self._contract = StripeContract()
        self.state: dict[str, Any] = {"customers": {}, "sessions": {}, "events": [], "idempotency": {}}
        self.state |= {name: {} for name in (*commerce.MADE, "redaction_jobs")} | {"preview": True}

    def seed(self, document: Mapping[str, Any]) -> None:
        """An event may carry `delivery_success: false`, which only the filter of the events list sees.

        `preview`: whether the account may run redaction jobs. `idempotency`: the keys that are remembered. A seed of
        customers clears what hung on the earlier ones.
        """
        check_seed_names(document, SEED_NAMES)
        if "customers" in document:
            self.state |= {name: {} for name in (*commerce.MADE, "sessions", "redaction_jobs")} | {"preview": True}
        created = int(time.time()) - 86_400
        makers: dict[str, Callable[[Mapping[str, Any], int], objects.Object]] = {
            "customers": objects.customer,
            "guests": objects.guest_session,
            **{name: partial(commerce.make, name) for name in commerce.MADE},
        }
        try:
            for name, make in makers.items():
                made = [make(each, created + at) for at, each in enumerate(document.get(name, ()))]
                if name in document:
                    target = "sessions" if name == "guests" else name
                    self.state[target] = {each["id"]: each for each in made}
        except KeyError as lacking:
            raise SeedError(f"the seed lacks {lacking}") from lacking
        self.state |= {name: document[name] for name in ("idempotency", "preview") if name in document}
        if "events" in document:
            self.state["events"] = [{**objects.event("ping", {}, created), **each} for each in document["events"]]

    def decoded(self, request: Request) -> tuple[Any, Any]:
        try:
            return decode_brackets(request.pairs), decode_brackets(body_pairs(request))
        except ContractViolation:
            return dict(request.pairs), dict(body_pairs(request))

    def error_body(self, status: int) -> Any:
        return {"error": FAULTS.get(status, {"type": "api_error", "message": "An unknown error occurred."})}

    def refuse(self, request: Request) -> Reply | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key.startswith(("sk_", "rk_")):
            message = "Invalid API Key provided." if key else "You did not provide an API key."
            refusal = objects.error(401, "invalid_request_error", message)
            return replace(refusal, headers={"WWW-Authenticate": 'Basic realm="Stripe"'})
        try:
            self._call(request)
        except ContractViolation as violation:
            refusal = objects.error(400, "contract_violation", str(violation))
            return replace(refusal, violation=str(violation))
        return None

    def replay(self, request: Request) -> Reply | None:
        """The saved answer of the same key; the same key for another request is an error of its own."""
        key = request.headers.get("idempotency-key", "")
        if request.method != "POST" or key not in self.state["idempotency"]:
            return None
        first = self.state["idempotency"][key]
        if first["path"] != request.path or first["parameters"] != self._fingerprint(request):
            what = "for the same endpoint" if first["path"] != request.path else "with the same parameters"
            message = f"Keys for idempotent requests can only be used {what} they were first used with."
            return objects.error(400, "idempotency_error", message)
        headers = {"Idempotent-Replayed": "true", "Original-Request": first["request"]}
        return Reply(first["status"], first["body"], reply_headers(request) | headers, replayed=True)

    def remember(self, request: Request, reply: Reply) -> None:
        key = request.headers.get("idempotency-key")
        if key is None or request.method != "POST":
            return
        self.state["idempotency"][key] = {
            "path": request.path,
            "parameters": self._fingerprint(request),
            "request": reply.headers.get("Request-Id", objects.new_id("req_", 14)),
            "status": reply.status,
            "body": reply.body,
        }

    def act(self, request: Request) -> Reply:
        call = self._call(request)
        headers = reply_headers(request)
        deed = DEEDS.get((call.method, call.template))
        if len(headers.get("Idempotency-Key", "")) > IDEMPOTENCY_KEY_SIZE_MAX_CHARACTERS:
            reply = objects.error(400, "invalid_request_error", "The idempotency key is too long.")
        elif deed is None:
            reply = objects.not_simulated(call.template)
        else:
            reply = deed(self.state, call, headers)
        # Saved "regardless of whether it succeeds or fails", but not where validation failed.
        return replace(reply, headers={**headers, **reply.headers}, saved=reply.status not in (400, 501))

    def _call(self, request: Request) -> Call:
        """Raises ContractViolation."""
        if request.method == "POST":
            if request.pairs:
                raise ContractViolation("parameters of a POST in the query")
            if request.body and request.media_type != FORM:
                raise ContractViolation("the body is not a form")
            pairs = body_pairs(request)
        elif request.body:
            raise ContractViolation("a body on a request that takes none")
        else:
            pairs = request.pairs
        return self._contract.check(request.method, request.segments, pairs)

    def _fingerprint(self, request: Request) -> str:
        return json.dumps(self._call(request).parameters, sort_keys=True)


def main() -> None:
    arguments = argument_parser("A simulated Stripe").parse_args()
    serve(Stripe(), arguments)


if __name__ == "__main__":
    main()
