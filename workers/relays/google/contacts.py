"""The person among the mailbox owner's contacts (People API): found by the exact address, and never by a search.

Google's search matches the beginnings of words, shows thirty at most and answers from a cache that may be cold: it can
find too much, and nothing where there is somebody. The lists are whole.
https://developers.google.com/people/api/rest
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from workers.relays.action import RelayError
from workers.relays.google.calls import CONTACTS, OTHER_CONTACTS, PRECONDITION_FAILED, answer, objects
from workers.relays.google.connection import MailboxConnection

PAGE_SIZE = 1000  # the most that both lists allow
CHANGED_FIELDS = "names,emailAddresses,organizations"
# Everything of a contact that its owner can have written down.
HELD_FIELDS = (
    "addresses,biographies,birthdays,calendarUrls,clientData,emailAddresses,events,externalIds,genders,imClients,"
    "interests,locales,locations,memberships,metadata,miscKeywords,names,nicknames,occupations,organizations,"
    "phoneNumbers,relations,sipAddresses,skills,urls,userDefined"
)
OTHER_HELD_FIELDS = "emailAddresses,metadata,names,phoneNumbers"
GONE = "gone"
# https://developers.google.com/people/api/rest/v1/people#Name: what Google composes itself is not sent back
NAME_PARTS = ("givenName", "familyName", "middleName", "honorificPrefix", "honorificSuffix")

Person = Mapping[str, Any]


def erase(emails: tuple[str, ...], connection: MailboxConnection) -> bool:
    """Delete every contact that has one of the addresses; whether there was one. Raises RelayError."""
    found = list(_matching("people/me/connections", "connections", "emailAddresses", emails, connection))
    for person in found:
        with connection.one_at_a_time:
            _answer_or_none("DELETE", f"{_name(person)}:deleteContact", connection)
        if _read(_name(person), "metadata", connection) is not None:
            raise RelayError("read_back_failed")
    return bool(found)


def others(emails: tuple[str, ...], connection: MailboxConnection, fields: str = "emailAddresses") -> list[Person]:
    """The "other contacts", which Gmail collects by itself. Raises RelayError.

    No method deletes one. A copy can be deleted, and the other contact stays
    (https://github.com/openclaw/gogcli/pull/802): so only a person can.
    """
    return list(_matching("otherContacts", "otherContacts", fields, emails, connection))


def held(emails: tuple[str, ...], connection: MailboxConnection) -> list[Person]:
    """The contacts with all that is written of them. Raises RelayError."""
    return list(_matching("people/me/connections", "connections", HELD_FIELDS, emails, connection))


def rectify(emails: tuple[str, ...], profile: Mapping[str, str], connection: MailboxConnection) -> bool:
    """Write what is right into every contact that has one of the addresses; whether there was one. Raises RelayError.

    `profile`: email, first_name, last_name, company; only those that are named are changed, an empty text removes.
    """
    wanted = tuple(dict.fromkeys((*emails, profile["email"]) if profile.get("email") else emails))
    found = list(_matching("people/me/connections", "connections", "emailAddresses", wanted, connection))
    for person in found:
        _rectify_one(_name(person), wanted, profile, connection)
    return bool(found)


def corrected(person: Person, emails: tuple[str, ...], profile: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a contact as they should be; what is not about the person's four facts stays as it was."""
    fields: dict[str, Any] = {}
    if {"first_name", "last_name"} & set(profile):
        first = next(iter(objects(person, "names")), {})
        parts = {part: first[part] for part in NAME_PARTS if part in first}
        named = {"givenName": profile.get("first_name"), "familyName": profile.get("last_name")}
        parts |= {part: value for part, value in named.items() if value is not None}
        parts = {part: value for part, value in parts.items() if value}
        fields["names"] = [parts] if parts else []
    if profile.get("email"):
        fields["emailAddresses"] = _corrected_emails(objects(person, "emailAddresses"), emails, profile["email"])
    if "company" in profile:
        listed = [_plain(each) for each in objects(person, "organizations")]
        kept = [each for each in listed[:1] if set(each) - {"name"}]  # a title, say, outlives the name
        first = {each: value for each, value in (kept[0] if kept else {}).items() if each != "name"}
        first |= {"name": profile["company"]} if profile["company"] else {}
        fields["organizations"] = ([first] if first else []) + listed[1:]
    return fields


def _corrected_emails(listed: list[Person], emails: tuple[str, ...], right: str) -> list[dict[str, Any]]:
    """The first of the person's addresses becomes the right one, and the others of them go."""
    known, placed, kept = {each.lower() for each in emails}, False, []
    for each in map(_plain, listed):
        is_theirs = str(each.get("value")).lower() in known
        if is_theirs and placed:
            continue
        kept.append({**each, "value": right} if is_theirs else each)
        placed = placed or is_theirs
    return [{name: value for name, value in each.items() if name != "displayName"} for each in kept]


def _plain(entry: Person) -> dict[str, Any]:
    """Without what Google adds and does not take back."""
    return {name: value for name, value in entry.items() if name not in ("metadata", "formattedType")}


def _rectify_one(name: str, emails: tuple[str, ...], profile: Mapping[str, str], connection: MailboxConnection) -> None:
    """A contact that changes between reading and writing refuses once, and is read again once."""
    with connection.one_at_a_time:
        for attempt in (1, 2):
            person = _read(name, f"{CHANGED_FIELDS},metadata", connection)
            if person is None:
                return
            try:
                fields = corrected(person, emails, profile)
                _patch(name, person, fields, connection)
                break
            except RelayError as error:
                if error.reason != PRECONDITION_FAILED:
                    raise
                if attempt == 2:
                    raise RelayError("changed_meanwhile", status=error.status) from None
    now = _read(name, CHANGED_FIELDS, connection)
    if now is not None and not _says(now, fields):
        raise RelayError("read_back_failed")


def _patch(name: str, person: Person, fields: Mapping[str, Any], connection: MailboxConnection) -> None:
    metadata = person.get("metadata")
    sources = objects(metadata, "sources") if isinstance(metadata, dict) else []
    if not sources:
        raise RelayError("unexpected_answer")
    body = {"metadata": {"sources": sources}, "etag": person.get("etag"), **fields}
    asked = {"updatePersonFields": ",".join(fields), "personFields": CHANGED_FIELDS}
    url = _url(f"{name}:updateContact", connection)
    answer(connection, CONTACTS, "PATCH", url, params=asked, json=body)


def _says(person: Person, fields: Mapping[str, Any]) -> bool:
    """Whether each entry that was written is among those that are there, whatever Google added to it."""
    for name, wanted in fields.items():
        there = objects(person, name)
        if len(there) != len(wanted) or not all(any(each.items() <= one.items() for one in there) for each in wanted):
            return False
    return True


def _matching(
    path: str, listed_as: str, fields: str, emails: tuple[str, ...], connection: MailboxConnection
) -> Iterator[Person]:
    """Whole persons, by any of their addresses. Their list is read to its end before the first is given."""
    wanted = {each.lower() for each in emails}
    is_other = path == "otherContacts"
    asked: dict[str, Any] = {"readMask" if is_other else "personFields": fields, "pageSize": PAGE_SIZE}
    found: list[Person] = []
    while True:
        scope = OTHER_CONTACTS if is_other else CONTACTS
        page = answer(connection, scope, "GET", _url(path, connection), params=asked)
        for person in objects(page, listed_as):
            if wanted & {str(each.get("value")).lower() for each in objects(person, "emailAddresses")}:
                found.append(person)
        if "nextPageToken" not in page:
            return iter(found)
        asked = asked | {"pageToken": page["nextPageToken"]}


def _read(name: str, fields: str, connection: MailboxConnection) -> Person | None:
    return _answer_or_none("GET", name, connection, params={"personFields": fields})


def _answer_or_none(method: str, path: str, connection: MailboxConnection, **arguments: Any) -> Person | None:
    """None for a contact that is gone."""
    try:
        return answer(connection, CONTACTS, method, _url(path, connection), GONE, **arguments)
    except RelayError as error:
        if error.reason == GONE:
            return None
        raise


def _name(person: Person) -> str:
    """`people/c123`, and nothing that would be another address."""
    kind, _, number = str(person.get("resourceName")).partition("/")
    if not kind or not number:
        raise RelayError("unexpected_answer")
    return f"{quote(kind, safe='')}/{quote(number, safe='')}"


def _url(path: str, connection: MailboxConnection) -> str:
    return f"{connection.people_base.rstrip('/')}/v1/{path}"
