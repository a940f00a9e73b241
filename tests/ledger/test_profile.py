"""What people tell about themselves: only theirs, only while they agree, and gone when they do not."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from ledger import profile, vault
from ledger.errors import RefusedError
from ledger.held import held
from ledger.rectification import Correction, rectify
from ledger.redaction import open_boxes
from ledger.tables import profile_fact
from schemas.message import format_message, parse_message
from schemas.policy import Fact, Text
from tests.ledger.desk import DAY_MS, KARI, NOW_MS, Desk, confirmation, sign_up, withdrawal
from tests.world import World

BOATS = {"interests": ("boats",)}


@pytest.fixture
def desk(any_world: World) -> Desk:
    desk = Desk(any_world)
    words = {"boats": Text(nb="Båter", en="Boats"), "bridges": Text(nb="Broer", en="Bridges")}
    fact = Fact("interests", Text(nb="Interesser", en="Interests"), MappingProxyType(words))
    desk.world.policy = replace(desk.world.policy, profile={"interests": fact})
    return desk


def tell(desk: Desk, at_ms: int = NOW_MS, facts: dict[str, tuple[str, ...]] | None = None) -> None:
    """Kari signs up with what she likes, and confirms."""
    message = sign_up(KARI, "newsletter", "profiling", facts=facts or BOATS)
    desk.say(message, at_ms)
    desk.say(confirmation(desk.asked(KARI)[-1]), at_ms + 1_000)


def sweep(desk: Desk, at_ms: int) -> int:
    with desk.database.write() as connection:
        return profile.sweep(connection, desk.recorder(at_ms))


def known(desk: Desk) -> dict[str, tuple[str, ...]]:
    with desk.database.read() as connection:
        person = vault.load_subject(connection, desk.keyring["kek"], desk.handle(KARI))
        return profile.told([payload for _, _, payload in open_boxes(connection, person)])


def rows(desk: Desk) -> list[tuple[str, str]]:
    with desk.database.read() as connection:
        return [tuple(row) for row in connection.execute(select(profile_fact.c.fact, profile_fact.c.origin))]


def test_a_fact_is_kept_with_its_entry_and_never_in_it(desk: Desk) -> None:
    tell(desk)
    assert known(desk) == BOATS
    assert rows(desk) == [("interests", "form")]
    (leaf,) = [leaf for leaf in desk.world.leaves() if leaf["kind"] == "profile.recorded"]
    assert (leaf["fact"], leaf["purpose"], leaf["source"], leaf["basis"]) == (
        *("interests", "profiling", "form:newsletter", "consent"),
    )
    assert "boats" not in str(desk.world.leaves())
    assert desk.problems() == []


def test_what_is_told_anew_takes_the_place_of_what_was_told(desk: Desk) -> None:
    tell(desk)
    tell(desk, NOW_MS + DAY_MS, {"interests": ("bridges",)})
    assert known(desk) == {"interests": ("bridges",)}
    assert rows(desk) == [("interests", "form")]
    assert not any(payload.get("values") == ["boats"] for payload in desk.payloads())
    assert desk.problems() == []


def test_a_withdrawn_profile_has_no_facts_and_the_newsletter_goes_on(desk: Desk) -> None:
    tell(desk)
    desk.say(withdrawal(KARI, "profiling"), NOW_MS + DAY_MS)
    assert sweep(desk, NOW_MS + DAY_MS) == 1
    assert (known(desk), rows(desk)) == ({}, [])
    assert desk.check(KARI, "newsletter") == "given"
    assert desk.check(KARI, "profiling") == "withdrawn"
    assert desk.problems() == []


def test_nothing_is_kept_of_somebody_who_did_not_say_yes_to_a_profile(desk: Desk) -> None:
    desk.say(sign_up(KARI, "newsletter", facts=BOATS), NOW_MS)
    assert (known(desk), rows(desk)) == ({}, [])
    (dropped,) = [leaf for leaf in desk.world.leaves() if leaf["kind"] == "minimisation.dropped"]
    assert (dropped["rule"], dropped["count"]) == ("profiling_not_consented", 1)


def test_what_was_never_confirmed_goes_in_its_time(desk: Desk) -> None:
    desk.give(KARI, NOW_MS, "newsletter")
    desk.say(sign_up(KARI, "profiling", facts=BOATS), NOW_MS)
    assert sweep(desk, NOW_MS + 6 * DAY_MS) == 0
    assert sweep(desk, NOW_MS + 8 * DAY_MS) == 1
    assert rows(desk) == []


def test_the_word_of_a_third_party_is_refused_by_the_recorder_and_by_the_database(desk: Desk) -> None:
    tell(desk)
    bought = replace(sign_up(KARI, "profiling", facts=BOATS), source="stripe")
    with pytest.raises(RefusedError, match="profile_from_third_party"):
        desk.say(bought, NOW_MS + DAY_MS)
    row = {"position": 0, "subject": desk.handle(KARI), "fact": "interests", "origin": "stripe"}
    with desk.database.write() as connection, pytest.raises(IntegrityError), connection.begin_nested():
        connection.execute(insert(profile_fact), row)


def test_a_rectification_moves_the_box_and_the_fact_is_still_found(desk: Desk) -> None:
    tell(desk)
    with desk.database.write() as connection:
        rectify(connection, desk.recorder(NOW_MS + DAY_MS), desk.handle(KARI), Correction({"first_name": "Kari"}))
    assert known(desk) == BOATS
    desk.say(withdrawal(KARI, "profiling"), NOW_MS + 2 * DAY_MS)
    assert sweep(desk, NOW_MS + 2 * DAY_MS) == 1
    assert known(desk) == {}
    assert desk.problems() == []


def test_the_access_answer_holds_what_was_told(desk: Desk) -> None:
    tell(desk)
    with desk.database.read() as connection:
        person = vault.load_subject(connection, desk.keyring["kek"], desk.handle(KARI))
        document = held(connection, desk.world.policy, person)
    assert {"fact": "interests", "values": ["boats"]}.items() <= document["sealed"][-1].items()


def test_facts_travel_through_the_inbox() -> None:
    message = sign_up(KARI, "profiling", facts=BOATS)
    assert parse_message(format_message(message)).facts == BOATS
