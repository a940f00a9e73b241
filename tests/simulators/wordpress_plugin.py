"""The companion plugin's routes, as docs/reference/companion-plugin.md describes them.

Erasers are simulated one stored item per page, with three manners: `remove`, `retain` (keeps and says so), and
`nothing` (says done, and has done nothing: measured on Gravity Forms 2.10 whose forms are not set up for erasure).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulators.exchange import Reply

EMAIL, PURPOSE, KEY = r"[^@\s]+@[^@\s]+", r"[a-z][a-z0-9_]*", r"[a-z0-9_-]+"
# Worst first: the answer for a person is the worst of what was done to the person's addresses.
OUTCOMES = ("retained", "removed", "not_found")
# Members of each route besides `route`; those with a question mark may be missing.
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "about": (),
    "status": ("reference", "emails", "purposes"),
    "withdraw": ("reference", "emails", "purposes"),
    "give": ("reference", "emails", "purposes"),
    "restrict": ("reference", "emails"),
    "unrestrict": ("reference", "emails"),
    "rectify": ("reference", "emails", "profile"),
    "grant": ("reference", "emails", "role?", "woocommerce_product?"),
    "revoke": ("reference", "emails", "role?", "woocommerce_product?"),
    "erasers": (),
    "erase": ("reference", "email", "eraser", "page"),
    "exporters": (),
    "export": ("email", "exporter", "page"),
    "account": ("email", "role?", "woocommerce_product?"),
    "outbox": ("after",),
}
CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "reference": lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]+", value) is not None,
    "email": lambda value: _fits(EMAIL, value),
    "emails": lambda value: _list_fits(EMAIL, value),
    "purposes": lambda value: _list_fits(PURPOSE, value),
    "profile": lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
    "role": lambda value: _fits(KEY, value),
    "woocommerce_product": lambda value: isinstance(value, int) and value > 0,
    "eraser": lambda value: _fits(KEY, value),
    "exporter": lambda value: _fits(KEY, value),
    "page": lambda value: isinstance(value, int) and value > 0,
    "after": lambda value: isinstance(value, int) and value >= 0,
}
ERASER_NAMES = {"mailpet-subscriber": "MailPoet Subscribers"}
PROFILE = ("email", "first_name", "last_name", "company")


def _fits(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _list_fits(pattern: str, value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_fits(pattern, each) for each in value)


def shape_violation(route: str, document: Any) -> str | None:
    """What is wrong with a request's body, or None."""
    if not isinstance(document, dict):
        return "body"
    needed = {name for name in MEMBERS[route] if not name.endswith("?")}
    allowed = {name.rstrip("?") for name in MEMBERS[route]}
    members = set(document) - {"route"}
    if not needed <= members <= allowed:
        return "keys"
    return next((name for name in sorted(members) if not CHECKS[name](document[name])), None)


def find_user(state: Mapping[str, Any], email: str) -> dict[str, Any] | None:
    return next((user for user in state["users"] if user["email"].lower() == email.lower()), None)


class Plugin:
    """The routes; the state is the simulator's."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def answer(self, route: str, document: dict[str, Any]) -> Reply:
        deed: Callable[[dict[str, Any]], Reply] = getattr(self, f"_{route}")
        return deed(document)

    def _about(self, _: dict[str, Any]) -> Reply:
        state = self.state
        counts = {"erasers": len(state["erasers"]), "exporters": len(state["exporters"])}
        site = {"version": "1.0.0", "wordpress": "6.8.12", "plugins": state["plugins"], "cron": "system"}
        return Reply(200, {**site, **counts})

    def _withdraw(self, document: dict[str, Any]) -> Reply:
        reason = None
        if not self.state["adapters"]:
            outcome, reason = "not_covered", "no_adapter"
        else:
            found = [self._withdraw_one(email, document["purposes"]) for email in document["emails"]]
            outcome, reason = min(found, key=lambda pair: OUTCOMES.index(pair[0]))
        self.state["withdrawals"].append({**document, "outcome": outcome})
        body = {"outcome": outcome, "reason": reason, "adapters": dict.fromkeys(self.state["adapters"], outcome)}
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

    def _give(self, document: dict[str, Any]) -> Reply:
        """`lists`: purposes that a list stands for; `needless`: those that the site says need none."""
        if not self.state["adapters"]:
            return Reply(200, {"outcome": "not_covered", "reason": "no_adapter"})
        if not {*document["purposes"]} <= {*self.state["lists"], *self.state["needless"]}:
            return Reply(200, {"outcome": "not_covered", "reason": "purpose_without_list"})
        mapped = [each for each in document["purposes"] if each in self.state["lists"]]
        for email in document["emails"]:
            empty: dict[str, Any] = {"purposes": {}, "retained": None}
            known = self.state["subscribers"].setdefault(email.lower(), empty)
            known["purposes"].update(dict.fromkeys(mapped, "subscribed"))
        return Reply(200, {"outcome": "done", "reason": None}, effect="give")

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

    def _restrict(self, document: dict[str, Any]) -> Reply:
        emails = {email.lower() for email in document["emails"]}
        self.state["restricted"] = sorted(emails | set(self.state["restricted"]))
        return Reply(200, {"outcome": "done", "reason": None}, effect="restrict")

    def _unrestrict(self, document: dict[str, Any]) -> Reply:
        emails = {email.lower() for email in document["emails"]}
        found = emails & set(self.state["restricted"])
        self.state["restricted"] = sorted(set(self.state["restricted"]) - emails)
        outcome = "done" if found else "not_found"
        return Reply(200, {"outcome": outcome, "reason": None}, effect="unrestrict" if found else None)

    def _rectify(self, document: dict[str, Any]) -> Reply:
        found = [user for email in document["emails"] if (user := find_user(self.state, email))]
        for user in found:
            user.update({name: value for name, value in document["profile"].items() if name in PROFILE})
        outcome = "done" if found else "not_found"
        return Reply(200, {"outcome": outcome, "reason": None}, effect="rectify" if found else None)

    def _grant(self, document: dict[str, Any]) -> Reply:
        return self._access(document, "grant")

    def _revoke(self, document: dict[str, Any]) -> Reply:
        return self._access(document, "revoke")

    def _access(self, document: dict[str, Any], deed: str) -> Reply:
        """A product of WooCommerce needs no account: the order names the address."""
        if "role" in document:
            found = [user for email in document["emails"] if (user := find_user(self.state, email))]
            for user in found:
                others = [each for each in user["roles"] if each != document["role"]]
                user["roles"] = [*others, document["role"]] if deed == "grant" else others
        elif not self.state["woocommerce"]:
            return Reply(200, {"outcome": "not_covered", "reason": "no_woocommerce"})
        else:
            held = self.state["granted"].setdefault(str(document["woocommerce_product"]), [])
            found = document["emails"][:1] if deed == "grant" else [each for each in held if each in document["emails"]]
            self.state["granted"][str(document["woocommerce_product"])] = sorted(
                {*held, *found} if deed == "grant" else set(held) - set(found)
            )
        outcome = "done" if found else "not_found"
        return Reply(200, {"outcome": outcome, "reason": None}, effect=deed if found else None)

    def _account(self, document: dict[str, Any]) -> Reply:
        user = find_user(self.state, document["email"])
        body: dict[str, Any] = {
            "user": None if user is None else {"id": user["id"], "roles": user["roles"]},
            "profile": None if user is None else {name: user.get(name, "") for name in PROFILE},
            "restricted": document["email"].lower() in self.state["restricted"],
        }
        if "role" in document:
            body["granted"] = user is not None and document["role"] in user["roles"]
        if "woocommerce_product" in document:
            body["granted"] = document["email"] in self.state["granted"].get(str(document["woocommerce_product"]), [])
        return Reply(200, body)

    def _erasers(self, _: dict[str, Any]) -> Reply:
        return Reply(
            200, {"erasers": [{"key": key, "name": ERASER_NAMES.get(key, key)} for key in self.state["erasers"]]}
        )

    def _erase(self, document: dict[str, Any]) -> Reply:
        key, email = document["eraser"], document["email"].lower()
        manner = self.state["erasers"].get(key)
        if manner is None:
            return Reply(400, {"code": "samtykke_invalid", "message": "No such eraser.", "data": {"status": 400}})
        if key == "samtykke-account":
            before = len(self.state["users"])
            self.state["users"] = [user for user in self.state["users"] if user["email"].lower() != email]
            removed, retained, left = before > len(self.state["users"]), False, 0
        elif key == "mailpet-subscriber":
            removed, retained, left = self.state["subscribers"].pop(email, None) is not None, False, 0
        else:
            held = self.state["stored"].get(key, {}).get(email, 0)
            removed, retained = manner == "remove" and held > 0, manner == "retain" and held > 0
            left = held - 1 if removed else 0
            if removed:
                self.state["stored"][key][email] = left
        body = {"removed": removed, "retained": retained, "done": left == 0}
        return Reply(200, body, effect="erase" if removed else None)

    def _exporters(self, _: dict[str, Any]) -> Reply:
        return Reply(200, {"exporters": [{"key": key, "name": key} for key in self.state["exporters"]]})

    def _export(self, document: dict[str, Any]) -> Reply:
        """Two items a page."""
        key, email, page = document["exporter"], document["email"].lower(), document["page"]
        held = self.state["stored"].get(key, {}).get(email, 0)
        if key == "wordpress-user":
            held = int(find_user(self.state, email) is not None)
        if key == "mailpet-subscriber":
            held = int(email in self.state["subscribers"])
        items = [
            {"group_label": key, "item_id": f"{key}-{number}", "data": [{"name": "Email", "value": email}]}
            for number in range(held)
        ]
        return Reply(200, {"data": items[2 * (page - 1) : 2 * page], "done": 2 * page >= held})

    def _outbox(self, document: dict[str, Any]) -> Reply:
        rows = self.state["outbox"]
        states = [row["state"] for row in rows]
        body = {
            "waiting": states.count("waiting"),
            "dead": states.count("dead"),
            "oldest_waiting_s": self.state["oldest_waiting_s"] if "waiting" in states else None,
            "entries": [row for row in rows if row["number"] > document["after"]][:200],
        }
        return Reply(200, body)
