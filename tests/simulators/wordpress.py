"""A WordPress site with the companion plugin: its two signed routes, as far as the relays use them.

`POST /wp-json/samtykke/v1/withdraw` and `.../status`, signed by Standard Webhooks
(https://www.standardwebhooks.com), each webhook-id used once, the route repeated inside the body.
"""

import argparse
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.simulators.exchange import Reply, Request, SeedError, Simulator, check_seed_names
from tests.simulators.server import argument_parser, serve

PREFIX = "/wp-json/"
WITHDRAW = "samtykke/v1/withdraw"
STATUS = "samtykke/v1/status"
SEED_NAMES = frozenset({"plugin", "subscribers", "adapters"})
# Worst first: the answer for a person is the worst of what was done to the person's addresses.
OUTCOMES = ("retained", "removed", "not_found")
ERRORS = {
    403: ("rest_forbidden", "Sorry, you are not allowed to do that."),
    500: ("internal_server_error", "<p>There has been a critical error on this website.</p>"),
}


def wordpress_error(status: int, code: str, message: str, violation: str | None = None) -> Reply:
    """The shape of WP_Error in the REST API, wp-includes/rest-api/class-wp-rest-server.php."""
    body = {"code": code, "message": message, "data": {"status": status}}
    return Reply(status, body, violation=violation)


def shape_violation(document: Any) -> str | None:
    """What is wrong with a request's body, or None."""
    if not isinstance(document, dict):
        return "body"
    if set(document) != {"route", "reference", "emails", "purposes"}:
        return "keys"
    if not isinstance(document["reference"], str) or not re.fullmatch("[0-9a-f]+", document["reference"]):
        return "reference"
    for name, pattern in (("emails", r"[^@\s]+@[^@\s]+"), ("purposes", r"[a-z][a-z0-9_]*")):
        listed = document[name]
        if not isinstance(listed, list) or not listed:
            return name
        if not all(isinstance(each, str) and re.fullmatch(pattern, each) for each in listed):
            return name
    return None


class WordPress(Simulator):
    """Subscribers with `subscribed` or `unsubscribed` per purpose, kept by lower-case address."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)
        self.state = {
            "plugin": True,
            "adapters": ["mailpoet"],
            "subscribers": {},
            "used_ids": [],
            "withdrawals": [],
        }

    def seed(self, document: Mapping[str, Any]) -> None:
        """`retained` on a subscriber is the reason why the plugin keeps it; no adapters = not_covered."""
        check_seed_names(document, SEED_NAMES)
        for name in ("plugin", "adapters"):
            if name in document:
                self.state[name] = document[name]
        if "subscribers" in document:
            self.state["subscribers"] = {}
        for each in document.get("subscribers", ()):
            if not set(each) <= {"email", "purposes", "retained"}:
                raise SeedError("a subscriber has email, purposes and perhaps retained")
            self.state["subscribers"][each["email"].lower()] = {
                "purposes": dict.fromkeys(each["purposes"], "subscribed"),
                "retained": each.get("retained"),
            }

    def error_body(self, status: int) -> Any:
        code, message = ERRORS.get(status, ("http_error", "The request could not be handled."))
        return wordpress_error(status, code, message).body

    def act(self, request: Request) -> Reply:
        route = request.path.removeprefix(PREFIX)
        if not self.state["plugin"] or request.method != "POST" or route not in (WITHDRAW, STATUS):
            missing = "No route was found matching the URL and request method."
            return wordpress_error(404, "rest_no_route", missing)
        try:
            document = self._verify(request, route)
        except WebhookVerificationError:
            return wordpress_error(401, "samtykke_bad_signature", "The signature is not valid.")
        if request.headers["webhook-id"] in self.state["used_ids"]:
            return wordpress_error(401, "samtykke_replayed", "This webhook-id was used before.")
        wrong = shape_violation(document)
        if wrong is not None or request.media_type != "application/json":
            wrong = wrong or "content type"
            return wordpress_error(400, "rest_invalid_param", f"Invalid parameter(s): {wrong}", wrong)
        self.state["used_ids"].append(request.headers["webhook-id"])
        return self._withdraw(document) if route == WITHDRAW else self._status(document)

    def _verify(self, request: Request, route: str) -> Any:
        """The signed document; the route inside it must be the route called. Raises WebhookVerificationError."""
        try:
            self._webhook.verify(request.body, dict(request.headers), json_parse=False)
            document = json.loads(request.body)
        except ValueError as error:  # malformed base64, header or JSON
            raise WebhookVerificationError("malformed") from error
        if isinstance(document, dict) and document.get("route") != route:
            raise WebhookVerificationError("signed for another route")
        return document

    def _withdraw(self, document: dict[str, Any]) -> Reply:
        reason = None
        if not self.state["adapters"]:
            outcome, reason = "not_covered", "no_adapter"
        else:
            found = [self._withdraw_one(email, document["purposes"]) for email in document["emails"]]
            outcome, reason = min(found, key=lambda pair: OUTCOMES.index(pair[0]))
        adapters = dict.fromkeys(self.state["adapters"], outcome)
        self.state["withdrawals"].append({**document, "outcome": outcome})
        body = {"outcome": outcome, "reason": reason, "adapters": adapters}
        return Reply(200, body, effect="withdraw" if outcome == "removed" else None)

    def _withdraw_one(self, email: str, purposes: list[str]) -> tuple[str, str | None]:
        """Repeating a withdrawal answers `removed` again: the plugin still knows the address."""
        subscriber = self.state["subscribers"].get(email.lower())
        held = [] if subscriber is None else [each for each in purposes if each in subscriber["purposes"]]
        if not held:
            return "not_found", None
        if subscriber["retained"]:
            return "retained", subscriber["retained"]
        subscriber["purposes"].update(dict.fromkeys(held, "unsubscribed"))
        return "removed", None

    def _status(self, document: dict[str, Any]) -> Reply:
        answers = {}
        for purpose in document["purposes"]:
            known = {
                self.state["subscribers"][email.lower()]["purposes"].get(purpose)
                for email in document["emails"]
                if email.lower() in self.state["subscribers"]
            }
            answers[purpose] = next((each for each in ("subscribed", "unsubscribed") if each in known), "unknown")
        return Reply(200, {"purposes": answers})


def main() -> None:
    parser = argument_parser("A simulated WordPress with the companion plugin")
    parser.add_argument("--secret", default=os.environ.get("SIMULATOR_WORDPRESS_SECRET"), help="whsec_...")
    arguments: argparse.Namespace = parser.parse_args()
    if not arguments.secret:
        parser.error("--secret or SIMULATOR_WORDPRESS_SECRET is needed")
    serve(WordPress(arguments.secret), arguments)


if __name__ == "__main__":
    main()
