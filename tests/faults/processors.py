"""The simulated processors of a running stack: what they hold, what goes wrong with them, what they were told."""

import json
import urllib.request
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from tests.stack import Stack

KINDS = ("wordpress", "stripe", "google")
ANSWER_WAIT_S = 10.0
PURPOSE = "newsletter"


class Processor:
    """One simulator, by its control routes."""

    def __init__(self, stack: Stack, kind: str) -> None:
        self.kind = kind
        self._url = stack.simulator(kind)

    def state(self) -> dict[str, Any]:
        return dict(self._ask("state"))

    def journal(self) -> list[dict[str, Any]]:
        return list(self._ask("journal"))

    def seed(self, **document: Any) -> None:
        self._ask("seed", document)

    def plan(self, *faults: dict[str, Any]) -> None:
        """The fields are those of tests.simulators.faults.Fault."""
        self._ask("faults", {"faults": list(faults)})

    def clear(self) -> None:
        self._ask("clear", {})

    def _ask(self, name: str, document: Any = None) -> Any:
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self._url}/_control/{name}", data=data)
        with urllib.request.urlopen(request, timeout=ANSWER_WAIT_S) as response:
            return json.loads(response.read())


def processors_of(stack: Stack) -> dict[str, Processor]:
    return {kind: Processor(stack, kind) for kind in KINDS}


def store_people(processors: dict[str, Processor], emails: Iterable[str]) -> None:
    """Every processor holds these people, and nobody else."""
    known = list(emails)
    processors["wordpress"].seed(subscribers=[{"email": email, "purposes": [PURPOSE]} for email in known])
    processors["stripe"].seed(customers=[{"email": email, "name": "Kari Nordmann"} for email in known])
    groups = processors["google"].state()["groups"]
    processors["google"].seed(groups=dict.fromkeys(groups, []) | {min(groups): known})


def deeds(kind: str, journal: Iterable[dict[str, Any]], relay_id: str, email: str) -> int:
    """How many times the processor did what this relay asked. Google is told no reference, only the address."""
    done = [line for line in journal if line["effect"] is not None]
    match kind:
        case "wordpress":
            return sum(line["body"]["reference"] == relay_id for line in done)
        case "stripe":
            return sum(line["body"].get("metadata", {}).get("consent_reference") == relay_id for line in done)
        case _:
            return sum(unquote(line["path"]).endswith(f"/{email}") for line in done)


def still_held(processors: dict[str, Processor], emails: Iterable[str]) -> list[str]:
    """P4: whoever is still told otherwise at a processor, read from the processor itself."""
    subscribers = processors["wordpress"].state()["subscribers"]
    customers = {one["email"]: one for one in processors["stripe"].state()["customers"].values()}
    members = {member for group in processors["google"].state()["groups"].values() for member in group}
    found = []
    for email in emails:
        if "subscribed" in subscribers.get(email, {"purposes": {}})["purposes"].values():
            found.append(f"wordpress: {email}")
        if email in customers and customers[email]["metadata"].get(f"consent_{PURPOSE}") != "withdrawn":
            found.append(f"stripe: {email}")
        if email in members:
            found.append(f"google: {email}")
    return found
