"""Entries of Gravity Forms, by its REST API v2 (https://docs.gravityforms.com/rest-api-v2/), off until switched on.

A PUT overwrites what it is not given: date_created, source_url and user_agent, which prove a consent (measured on
2.10). So an entry is read whole and sent back whole.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workers.relays.action import Outcome, RelayAction, RelayError, RelayResult
from workers.relays.wordpress.rest import PAGES_MAX, Rest
from workers.relays.wordpress.tally import Tally

ENTRIES = "gf/v2/entries"
FORMS = "gf/v2/forms"
STATES = ("active", "spam", "trash")
PAGE_SIZE = 20
# Of a name field 3 its inputs are 3.3 and 3.6 (GF_Field_Name).
NAME_INPUTS = {"first_name": "3", "last_name": "6"}
# What proves a consent: none of it may change when a field does.
EVIDENCE = ("date_created", "source_url", "user_agent", "ip", "form_id", "status")


def is_there(rest: Rest) -> bool:
    return rest.has(FORMS)


def find(rest: Rest, emails: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Entries of any form and state with the address in any field (key 0)."""
    for email in emails:
        for state in STATES:
            filters = [{"key": "0", "operator": "is", "value": email}]
            yield from entries(rest, {"status": state, "field_filters": filters})


def entries(
    rest: Rest, search: Mapping[str, Any], sorting: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """`search` is JSON text inside JSON, `paging` and `sorting` are not (class-gf-rest-controller.php)."""
    order = {} if sorting is None else {"sorting": dict(sorting)}
    for page in range(1, PAGES_MAX + 1):
        paging = {"page_size": PAGE_SIZE, "current_page": page}
        answer = rest.read(ENTRIES, search=json.dumps(search), paging=paging, **order)
        found = answer.get("entries") if isinstance(answer, dict) else None
        if not isinstance(found, list) or not all(isinstance(each, dict) and "id" in each for each in found):
            raise RelayError("unexpected_answer")
        yield from found
        if len(found) < PAGE_SIZE:
            return
    raise RelayError("list_without_end", permanent=True)


def erase(rest: Rest, emails: Sequence[str], tally: Tally) -> None:
    """Without `force` an entry only goes to the trash."""
    for entry in list(find(rest, emails)):
        tally.uncertain = True
        rest.delete(f"{ENTRIES}/{entry['id']}", force=1)
        tally.removed = True
    if next(find(rest, emails), None) is not None:
        raise RelayError("read_back_failed")


def rectify(rest: Rest, action: RelayAction) -> RelayResult:
    """Names and address, in entries whose address field is the person's; another field may name somebody else's."""
    forms: dict[str, Mapping[str, str]] = {}
    found = False
    for entry in list(find(rest, action.emails)):
        form_id = str(entry.get("form_id"))
        if form_id not in forms:
            forms[form_id] = _fields(rest.read(f"{FORMS}/{form_id}"))
        changed = _changed(entry, forms[form_id], action)
        if changed is None:
            continue
        found = True
        if any(entry.get(key) != value for key, value in changed.items()):
            rest.replace(f"{ENTRIES}/{entry['id']}", {**entry, **changed})
            _check(rest.read(f"{ENTRIES}/{entry['id']}"), entry, changed)
    return RelayResult(Outcome.DONE if found else Outcome.NOT_FOUND)


def _fields(form: Any) -> Mapping[str, str]:
    """Key of an entry to what it holds: `email`, `first_name` or `last_name`."""
    fields = form.get("fields") if isinstance(form, dict) else None
    if not isinstance(fields, list):
        raise RelayError("unexpected_answer")
    keys: dict[str, str] = {}
    for field in fields:
        if field.get("type") == "email":
            keys[str(field["id"])] = "email"
        if field.get("type") == "name":
            keys.update({f"{field['id']}.{part}": name for name, part in NAME_INPUTS.items()})
    return keys


def _changed(entry: Mapping[str, Any], fields: Mapping[str, str], action: RelayAction) -> dict[str, str] | None:
    """None for an entry that is not the person's own."""
    wanted = {email.casefold() for email in action.emails}
    own = [key for key, name in fields.items() if name == "email" and str(entry.get(key, "")).casefold() in wanted]
    if not own:
        return None
    names = {key: action.profile[name] for key, name in fields.items() if name != "email" and name in action.profile}
    emails = dict.fromkeys(own, action.profile["email"]) if "email" in action.profile else {}
    return names | emails


def _check(told: Any, before: Mapping[str, Any], changed: Mapping[str, str]) -> None:
    if not isinstance(told, dict) or any(told.get(key) != value for key, value in changed.items()):
        raise RelayError("read_back_failed")
    if any(told.get(key) != before.get(key) for key in EVIDENCE):
        raise RelayError("evidence_changed", permanent=True)
