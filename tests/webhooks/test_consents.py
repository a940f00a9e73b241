"""POST /consents/check: the same answer as the ledger's own, for one and for many, and nothing for strangers."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from werkzeug.test import TestResponse

from ledger.identity import address_tags
from ledger.restriction import restrict
from ledger.sending import CHUNK, REASONS, may_send
from ledger.vault import find_by_narrow
from schemas.address import parse_address
from schemas.api_keys import ApiKey
from tests.ledger.desk import HOUR_MS, KARI, NOW_MS, Desk, sign_up, withdrawal
from tests.ledger.one_by_one import check_address
from tests.world import World, checkout_event, settings_for

ONE = ApiKey("shop", frozenset({"check"}), "one" + "k" * 40)
MANY = ApiKey("mailer", frozenset({"check", "check_many"}), "many" + "k" * 40)
PURPOSES = ("newsletter", "offers", "information", "profiling")


@pytest.fixture
def asked(tmp_path: Path, database_url: str | None) -> Iterator[World]:
    """An installation with two keys, on each database."""
    made = World(settings_for(tmp_path, database_url, api_keys=(ONE, MANY)))
    yield made
    made.close()


def ask(world: World, key: str | None = MANY.secret, **document: Any) -> TestResponse:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return world.client.post("/consents/check", json=document, headers=headers)


def refused(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, json.loads(answer.text)["error"]["reason"]


def test_a_yes_names_its_entry_and_its_notice(asked: World) -> None:
    asked.give(KARI)
    answer = ask(asked, ONE.secret, email=" Kari@Example.no ", purpose="newsletter").get_json()
    requested, given = (one for one in asked.leaves() if one["kind"] in ("consent.requested", "consent.given"))
    assert answer == {
        "allowed": True,
        "reason": "given",
        "since": given["occurred_at"],
        "entry": given["id"],
        "index": asked.leaves().index(given),
        "notice": requested["notice"],
        "customer_since": None,
        "mailbox": "person",
    }
    assert ask(asked, email=KARI, purpose="offers").get_json()["reason"] == "never_asked"


def test_a_withdrawal_that_is_only_accepted_is_a_no(asked: World) -> None:
    asked.give(KARI)
    assert asked.client.post(asked.link("w"), data={"confirm": "1"}).status_code == 200
    assert ask(asked, email=KARI, purpose="newsletter").get_json()["reason"] == "withdrawal_pending"
    asked.record()
    assert ask(asked, email=KARI, purpose="newsletter").get_json()["reason"] == "withdrawn"


def test_a_customer_is_the_other_laws_answer_and_no_consent(asked: World) -> None:
    desk = Desk(asked)
    desk.give(KARI, NOW_MS, "offers")
    assert asked.post_stripe(checkout_event(session={"custom_fields": []})).status_code == 200
    asked.record()
    answer = ask(asked, email=KARI, purpose="newsletter").get_json()
    assert (answer["allowed"], answer["reason"]) == (False, "never_asked")
    assert answer["customer_since"] is not None


def test_it_is_the_ledgers_own_answer_for_one_and_for_many(asked: World) -> None:
    """A seeded crowd with every state; the single, slow answer of the ledger is the oracle."""
    chance, desk = random.Random(8058), Desk(asked)
    emails = [f"{name}{tail}@{domain}" for name in "abcdefghij" for tail in ("", "+x", ".y") for domain in DOMAINS]
    for step, email in enumerate([*emails, *chance.choices(emails, k=60)]):
        at_ms = NOW_MS + step * HOUR_MS
        purpose = chance.choice(PURPOSES)
        match chance.randrange(5):
            case 0 | 1 if desk.check(email, purpose) in ("never_asked", "withdrawn"):
                desk.give(email, at_ms, purpose)
            case 2:
                desk.say(sign_up(email, purpose), at_ms)
            case 3:
                desk.say(withdrawal(email, purpose), at_ms)
            case _:
                desk.accept(desk.delivery(withdrawal(email, purpose)), at_ms)
    with asked.database.write() as connection:
        for email in emails[:12]:
            handle = find_by_narrow(connection, address_tags(desk.web["index_pepper"], parse_address(email)))
            if handle is not None:
                restrict(connection, handle, "claims", NOW_MS, "operator")
    seen = set()
    for purpose in PURPOSES:
        with asked.database.read() as connection:
            oracle = [check_address(connection, desk.keyring, parse_address(one), purpose) for one in emails]
        told = ask(asked, emails=emails, purpose=purpose).get_json()["answers"]
        assert [(one["allowed"], one["reason"], one["entry"]) for one in told] == [
            (one.allowed, one.reason, one.entry) for one in oracle
        ]
        assert told[7] == ask(asked, email=emails[7], purpose=purpose).get_json()
        seen |= {one.reason for one in oracle}
    assert seen >= {"given", "never_asked", "requested", "withdrawn", "withdrawal_pending", "suppressed", "restricted"}
    assert seen <= set(REASONS)


DOMAINS = ("example.no", "gmail.com")


def test_many_cost_the_database_a_few_questions(asked: World) -> None:
    desk = Desk(asked)
    desk.give(KARI, NOW_MS)
    addresses = [parse_address(f"person{number}@example.no") for number in range(CHUNK)]
    statements: list[str] = []
    with asked.database.read() as connection:
        event.listen(connection.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        may_send(connection, desk.keyring, addresses, "newsletter")
    assert len(statements) <= 10


def test_what_is_no_address_is_a_no_of_its_own_in_a_list_and_refused_alone(asked: World) -> None:
    asked.give(KARI)
    told = ask(asked, emails=["nobody", KARI, "a@b"], purpose="newsletter").get_json()["answers"]
    assert [one["reason"] for one in told] == ["address_malformed", "given", "address_malformed"]
    assert refused(ask(asked, email="nobody", purpose="newsletter")) == (422, "address_malformed")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "question_malformed"),
        ({"purpose": "newsletter"}, "question_malformed"),
        ({"purpose": "newsletter", "email": KARI, "emails": [KARI]}, "question_malformed"),
        ({"purpose": "newsletter", "emails": []}, "question_malformed"),
        ({"purpose": "newsletter", "email": KARI, "more": 1}, "question_malformed"),
        ({"purpose": "newsletter", "email": 7}, "question_malformed"),
        ({"purpose": "weather", "email": KARI}, "purpose_unknown"),
        ({"purpose": "newsletter", "emails": ["a@example.no"] * 1001}, "too_many_addresses"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_question_that_is_none_is_refused_without_an_echo(
    asked: World, document: dict[str, Any], reason: str
) -> None:
    answer = ask(asked, **document)
    assert refused(answer) == (422, reason)
    assert KARI not in answer.text


def test_who_has_no_key_or_another_learns_nothing(asked: World) -> None:
    for key in (None, "", "x" * 43, ONE.secret[:-1]):
        answer = ask(asked, key, email=KARI, purpose="newsletter")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="consents"'
    basic = asked.client.post("/consents/check", json={}, headers={"Authorization": f"Basic {ONE.secret}"})
    assert basic.status_code == 401


def test_a_list_needs_a_scope_of_its_own(asked: World) -> None:
    assert refused(ask(asked, ONE.secret, emails=[KARI], purpose="newsletter")) == (403, "scope_missing")


def test_a_key_has_a_limit_of_its_own(tmp_path: Path) -> None:
    world = World(replace(settings_for(tmp_path, api_keys=(ONE, MANY)), source_limit_per_s=1))
    codes = [ask(world, ONE.secret, email=KARI, purpose="newsletter").status_code for _ in range(12)]
    assert codes == [200] * 10 + [429] * 2
    assert ask(world, email=KARI, purpose="newsletter").status_code == 200
    world.close()


def test_a_get_has_no_such_address(asked: World) -> None:
    assert asked.client.get("/consents/check", headers={"Authorization": f"Bearer {ONE.secret}"}).status_code == 405
