"""The contacts of the mailbox' owner, as the People API shows and changes them; "other contacts", which it only shows.

Facts: the discovery document, and https://developers.google.com/people/api/rest/v1/people.
"""

import json
from collections.abc import Mapping
from typing import Any

from tests.simulators.exchange import Reply, Request, SeedError

SCOPE_PREFIX = "https://www.googleapis.com/auth/"
WRITE = frozenset({SCOPE_PREFIX + "contacts"})
READ = WRITE | {SCOPE_PREFIX + "contacts.readonly"}
READ_OTHERS = frozenset({SCOPE_PREFIX + "contacts.other.readonly"})
SINGLE = ("names", "biographies", "birthdays", "genders")  # "a singleton for contact sources"
STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
PAGE_MAX = 1000


def people_error(status: int, name: str | None = None, reason: str | None = None) -> Reply:
    """The newer APIs' error shape: https://google.aip.dev/193."""
    error: dict[str, Any] = {"code": status, "message": "Refused.", "status": name or STATUSES[status]}
    if reason is not None:
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
        error["details"] = [detail]
    return Reply(status, {"error": error})


def check_contacts(contacts: Any) -> None:
    """A list of persons, each with a `resourceName`. Raises SeedError."""
    if not isinstance(contacts, list) or not all("resourceName" in each for each in contacts):
        raise SeedError("contacts are persons with a resourceName")


def answer_people(state: dict[str, Any], request: Request, known: Mapping[str, Any] | None) -> Reply:
    """`known`: the token's scopes and subject. Whoever does not own the mailbox has no contacts here."""
    if known is None:
        return people_error(401)
    _, *path = request.segments
    scopes = READ_OTHERS if path[0] == "otherContacts" else READ if request.method == "GET" else WRITE
    if not scopes & set(known["scopes"]):
        return people_error(403, reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT")
    own = known["subject"] == state["mailbox"]["address"]
    asked = dict(request.pairs)
    match (request.method, *path):
        case ("GET", "people", "me", "connections"):
            return _page(state["contacts"] if own else [], "connections", asked.get("personFields"), asked)
        case ("GET", "otherContacts"):
            return _page(state["other_contacts"] if own else [], "otherContacts", asked.get("readMask"), asked)
        case (method, "people", named):
            identifier, _, deed = named.partition(":")
            return _one(state, method, f"people/{identifier}", deed, request)
    return Reply(501, "not simulated", violation="not simulated")


def _page(persons: list[dict[str, Any]], name: str, mask: str | None, asked: Mapping[str, str]) -> Reply:
    if not mask:
        return people_error(400)
    begin, size = int(asked.get("pageToken", "0")), min(int(asked.get("pageSize", "100")), PAGE_MAX)
    shown = [_shown(each, mask) for each in persons[begin : begin + size]]
    rest = {"nextPageToken": str(begin + size)} if len(persons) > begin + size else {}
    return Reply(200, ({name: shown} if shown else {}) | rest | {"totalItems": len(persons)})


def _one(state: dict[str, Any], method: str, name: str, deed: str, request: Request) -> Reply:
    """That a contact is gone from every list as soon as it is deleted is assumed."""
    person = next((each for each in state["contacts"] if each["resourceName"] == name), None)
    if person is None:
        return people_error(404)
    match (method, deed):
        case ("GET", ""):
            mask = dict(request.pairs).get("personFields")
            return Reply(200, _shown(person, mask)) if mask else people_error(400)
        case ("DELETE", "deleteContact"):
            state["contacts"].remove(person)
            return Reply(200, {}, effect="people.deleteContact")
        case ("PATCH", "updateContact"):
            return _update(person, request)
    return Reply(501, "not simulated", violation="not simulated")


def _update(person: dict[str, Any], request: Request) -> Reply:
    body, asked = json.loads(request.body), dict(request.pairs)
    names = asked.get("updatePersonFields", "").split(",")
    sources = body.get("metadata", {}).get("sources", [])
    if not sources or names == [""] or any(len(body.get(each, [])) > 1 for each in names if each in SINGLE):
        return people_error(400)
    if sources[0].get("etag") != _etag(person):
        return people_error(400, "FAILED_PRECONDITION")
    for name in names:
        person[name] = body.get(name, [])
    person["version"] = person.get("version", 1) + 1
    return Reply(200, _shown(person, asked.get("personFields", ",".join(names))), effect="people.updateContact")


def _etag(person: Mapping[str, Any]) -> str:
    return f"#etag-{person.get('version', 1)}"


def _shown(person: Mapping[str, Any], mask: str) -> dict[str, Any]:
    """With what Google adds: where each entry comes from, and a name as it is displayed."""
    source = {"type": "CONTACT", "id": person["resourceName"].partition("/")[2]}
    shown: dict[str, Any] = {"resourceName": person["resourceName"], "etag": "%" + _etag(person)}
    for name in mask.split(","):
        if name == "metadata":
            shown["metadata"] = {"sources": [source | {"etag": _etag(person)}], "objectType": "PERSON"}
        elif person.get(name):
            added = {"metadata": {"primary": True, "source": source}}
            shown[name] = [each | added | _display(name, each) for each in person[name]]
    return shown


def _display(field: str, entry: Mapping[str, Any]) -> dict[str, str]:
    if field != "names":
        return {}
    return {"displayName": " ".join(entry[part] for part in ("givenName", "familyName") if part in entry)}
