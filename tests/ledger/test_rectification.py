"""What was wrong goes, what is right is sealed, and the ledger says that it happened, not what."""

import pytest

from ledger.errors import RefusedError
from ledger.log import lock_head
from ledger.rectification import Correction, rectify
from schemas.address import parse_address
from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, NOW_MS, Desk, confirmation, sign_up, withdrawal
from tests.world import World

RIGHT = "kari.nordmann@example.no"


@pytest.fixture
def desk(world: World) -> Desk:
    made = Desk(world)
    made.say(sign_up(KARI, "newsletter", "offers", profile={"first_name": "Kåre", "company": "Feil AS"}), NOW_MS)
    made.say(confirmation(made.asked()[-1]), NOW_MS + 1_000)
    return made


def correct(desk: Desk, correction: Correction, email: str = KARI) -> int:
    handle = desk.handle(email)
    with desk.database.write() as connection:
        lock_head(connection)
        return rectify(connection, desk.recorder(NOW_MS + HOUR_MS), handle, correction)


def test_the_wrong_name_is_in_no_box_any_more_and_the_right_one_is(desk: Desk) -> None:
    position = correct(desk, Correction({"first_name": "Kari"}))
    payloads = desk.payloads()
    assert [payload["first_name"] for payload in payloads if "first_name" in payload] == ["Kari"]
    assert payloads[-1] == {"email": KARI, "first_name": "Kari", "company": "Feil AS"}
    leaf = desk.world.leaves()[position]
    assert (leaf["kind"], leaf["source"]) == ("subject.rectified", "operator")
    assert "Kari" not in str(desk.world.leaves())
    assert desk.problems() == []


def test_an_empty_text_removes_a_field(desk: Desk) -> None:
    correct(desk, Correction({"company": ""}))
    assert not any(payload.get("company") for payload in desk.payloads())
    assert desk.payloads()[-1]["company"] == ""  # which tells the processors that it was cleared
    assert desk.payloads()[-1]["first_name"] == "Kåre"


def test_a_new_address_is_written_to_from_now_on_and_the_old_one_still_withdraws(desk: Desk) -> None:
    correct(desk, Correction({}, email=parse_address(RIGHT)))
    assert desk.handle(RIGHT) == desk.handle(KARI)
    assert desk.payloads()[-1]["email"] == RIGHT
    assert desk.check(RIGHT) == "given"
    desk.say(withdrawal(KARI), NOW_MS + DAY_MS)
    assert desk.check(RIGHT) == "withdrawn"
    assert desk.problems() == []


def test_an_address_that_was_never_theirs_leads_nowhere_any_more(desk: Desk) -> None:
    correct(desk, Correction({}, email=parse_address(RIGHT), wrong_email=parse_address(KARI)))
    assert desk.check(KARI) == "never_asked"
    assert desk.check(RIGHT) == "given"
    assert not any(payload.get("email") == KARI for payload in desk.payloads(RIGHT))
    assert desk.problems() == []


def test_the_only_address_cannot_be_taken_away(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="address_is_the_only_one"):
        correct(desk, Correction({}, wrong_email=parse_address(KARI)))
    assert desk.check() == "given"


def test_an_address_of_somebody_else_is_refused(desk: Desk) -> None:
    desk.give("ola@example.no", NOW_MS)
    with pytest.raises(RefusedError, match="address_is_somebody_elses"):
        correct(desk, Correction({"first_name": "Kari"}, email=parse_address("ola@example.no")))
    assert desk.payloads()[0]["first_name"] == "Kåre", "nothing of it was done"


def test_the_newest_address_stays_the_newest_when_older_boxes_are_sealed_anew(desk: Desk) -> None:
    correct(desk, Correction({}, email=parse_address(RIGHT)))
    correct(desk, Correction({"first_name": "Kari"}), RIGHT)
    correct(desk, Correction({"first_name": "Kari Anne"}), RIGHT)
    assert desk.payloads(RIGHT)[-1]["email"] == RIGHT
    assert {payload["first_name"] for payload in desk.payloads(RIGHT) if "first_name" in payload} == {"Kari Anne"}
