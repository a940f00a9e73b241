"""Sign-ups and confirmations: what becomes given, what never does, and what is kept of a no."""

from dataclasses import replace

import pytest

from ledger.restriction import restrict
from ledger.sending import may_send
from ledger.tables import consent_state, subject
from schemas.address import parse_address
from schemas.message import Decision, Dropped, Message, MessageType
from tests.ledger.desk import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    NOW_MS,
    Desk,
    confirmation,
    link_withdrawal,
    sign_up,
    unconfirmed,
    withdrawal,
)
from tests.world import World


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def refusal(*purposes: str) -> Message:
    return replace(sign_up(), decisions=tuple(Decision(purpose, "refused") for purpose in purposes))


def purchase(*decisions: Decision) -> Message:
    email = "kari@example.no" if decisions else None
    return Message(type=MessageType.PURCHASE, source="stripe", email=email, decisions=decisions, method="stripe")


def test_a_request_is_given_only_by_its_confirmation(desk: Desk) -> None:
    desk.say(sign_up("kari@example.no", "newsletter", "offers"), NOW_MS)
    assert desk.check() == "requested"
    (link,) = desk.asked()
    desk.say(confirmation(link), NOW_MS + HOUR_MS)
    assert [desk.check(), desk.check(purpose="offers"), desk.check(purpose="profiling")] == [
        "given",
        "given",
        "never_asked",
    ]
    given = [leaf for leaf in desk.world.leaves() if leaf["kind"] == "consent.given"]
    assert [leaf["ref"] for leaf in given] == list(link.request_ids)


def test_a_confirmation_twice_gives_once(desk: Desk) -> None:
    desk.say(sign_up(), NOW_MS)
    (link,) = desk.asked()
    assert len(desk.say(confirmation(link), NOW_MS + 1)) == 1
    assert desk.say(confirmation(link), NOW_MS + 2) == []
    assert desk.kinds().count("consent.given") == 1


def test_a_confirmation_counts_to_the_last_millisecond_of_the_seventh_day(desk: Desk) -> None:
    for email, at_ms, state in (
        ("kari@example.no", 7 * DAY_MS, "given"),
        ("ola@example.no", 7 * DAY_MS + 1, "requested"),
    ):
        desk.say(sign_up(email), NOW_MS)
        desk.say(confirmation(desk.asked(email)[-1]), NOW_MS + at_ms)
        assert desk.check(email) == state


def test_a_confirmation_after_a_withdrawal_does_nothing(desk: Desk) -> None:
    desk.say(sign_up(), NOW_MS)
    (link,) = desk.asked()
    desk.say(withdrawal(), NOW_MS + MINUTE_MS)
    assert desk.say(confirmation(link), NOW_MS + HOUR_MS) == []
    assert desk.check() == "withdrawn"


def test_a_confirmation_of_a_link_that_withdraws_gives_nothing(desk: Desk) -> None:
    desk.say(sign_up(), NOW_MS)
    (link,) = desk.asked()
    assert desk.say(confirmation(replace(link, id=desk.withdraw_link("kari@example.no", NOW_MS))), NOW_MS + 1) == []
    assert desk.check() == "requested"


def test_after_a_withdrawal_a_fresh_confirmation_gives_again(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.say(withdrawal(), NOW_MS + HOUR_MS)
    desk.say(sign_up(), NOW_MS + 2 * DAY_MS)
    assert desk.check() == "withdrawn"
    desk.say(confirmation(desk.asked()[-1]), NOW_MS + 2 * DAY_MS + MINUTE_MS)
    assert desk.check() == "given"


def test_a_request_older_than_a_withdrawal_is_recorded_and_asks_nothing(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.say(withdrawal(), NOW_MS + HOUR_MS)
    asked = len(desk.asked())
    desk.say(sign_up(sent_at_ms=NOW_MS + MINUTE_MS), NOW_MS + 2 * DAY_MS)
    assert (len(desk.asked()), desk.check()) == (asked, "withdrawn")
    assert desk.kinds().count("consent.requested") == 2


@pytest.mark.parametrize(
    ("sent_at_ms", "state"), [(NOW_MS - 1, "withdrawn"), (NOW_MS, "withdrawn"), (NOW_MS + 1, "given")]
)
@pytest.mark.parametrize("grant_first", [True, False])
def test_a_grant_wins_only_if_it_was_said_after_the_withdrawal(
    desk: Desk, sent_at_ms: int, state: str, grant_first: bool
) -> None:
    unconfirmed(desk.world)
    desk.say(sign_up(), NOW_MS - DAY_MS)
    said = [sign_up(sent_at_ms=sent_at_ms), withdrawal(sent_at_ms=NOW_MS)]
    for message in said if grant_first else reversed(said):
        desk.say(message, NOW_MS + HOUR_MS)
    assert desk.check() == state


def test_a_sender_whose_clock_is_ahead_gains_nothing(desk: Desk) -> None:
    unconfirmed(desk.world)
    desk.say(sign_up(sent_at_ms=NOW_MS + 10 * DAY_MS), NOW_MS)
    desk.say(withdrawal(), NOW_MS)
    assert desk.check() == "withdrawn"


def test_a_refusal_keeps_no_address_and_lowers_nothing(desk: Desk) -> None:
    desk.say(refusal("newsletter"), NOW_MS)
    assert (desk.check(), desk.payloads(), desk.asked()) == ("refused", [], [])
    desk.say(sign_up(), NOW_MS + 1)
    desk.say(confirmation(desk.asked()[-1]), NOW_MS + 2)
    desk.say(refusal("newsletter"), NOW_MS + 3)
    assert desk.check() == "given"


def test_a_person_is_asked_again_only_after_ten_minutes(desk: Desk) -> None:
    for at_ms in (0, 9 * MINUTE_MS, 11 * MINUTE_MS):
        desk.say(sign_up(), NOW_MS + at_ms)
    assert len(desk.asked()) == 2
    desk.say(sign_up("kari@example.no", "offers"), NOW_MS + 12 * MINUTE_MS)
    assert desk.asked()[-1].purposes == ("offers",)


def test_other_spellings_of_a_mailbox_are_no_way_around_that(any_world: World) -> None:
    desk = Desk(any_world)
    spellings = ["kari@example.no", "KARI+a@example.no", "kari+b@example.no"]
    for at_ms in (0, MINUTE_MS, 11 * MINUTE_MS):
        for spelling in spellings:
            desk.say(sign_up(spelling), NOW_MS + at_ms)
    assert [len(desk.asked(spelling)) for spelling in spellings] == [2, 0, 0]
    desk.say(confirmation(desk.asked()[-1]), NOW_MS + 12 * MINUTE_MS)
    desk.say(sign_up(spellings[1]), NOW_MS + 13 * MINUTE_MS)
    assert len(desk.asked(spellings[1])) == 1, "a question that is answered holds up nobody"


def test_a_person_who_has_given_is_not_asked_again(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.say(sign_up("kari@example.no", "newsletter", "offers"), NOW_MS + HOUR_MS)
    assert desk.asked()[-1].purposes == ("offers",)


def test_a_grant_is_for_one_spelling_only(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    assert [desk.check("KARI@EXAMPLE.NO"), desk.check("kari+news@example.no")] == ["given", "never_asked"]


def test_a_purchase_alone_makes_no_subject(desk: Desk) -> None:
    desk.say(replace(purchase(), reported="terms_accepted"), NOW_MS)
    (leaf,) = desk.world.leaves()
    assert (leaf["kind"], leaf["basis"], leaf.get("subject")) == ("purchase.recorded", "contract", None)
    assert leaf["reason"] == "terms_accepted"
    assert (desk.count(subject), desk.count(consent_state)) == (0, 0)


def test_a_purchase_with_a_ticked_box_is_both_and_never_mixed(desk: Desk) -> None:
    desk.say(purchase(Decision("newsletter", "given")), NOW_MS)
    assert [(leaf["kind"], leaf["basis"]) for leaf in desk.world.leaves()] == [
        ("consent.requested", "consent"),
        ("purchase.recorded", "contract"),
        ("customer.recorded", "contract"),
    ]
    assert (desk.check(), len(desk.asked())) == ("requested", 1)


def test_a_purchase_of_somebody_known_is_a_customers_and_gives_nothing(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    desk.say(withdrawal(), NOW_MS + HOUR_MS)
    for email in ("kari@example.no", "kari+shop@example.no", "ola@example.no"):
        desk.say(replace(purchase(), email=email, sent_at_ms=NOW_MS + DAY_MS), NOW_MS + DAY_MS + MINUTE_MS)
    customers = [leaf for leaf in desk.world.leaves() if leaf["kind"] == "customer.recorded"]
    assert [(leaf["subject"], leaf["basis"]) for leaf in customers] == [(desk.handle().hex(), "contract")]
    with desk.database.read() as connection:
        (answer,) = may_send(connection, desk.keyring, [parse_address("kari@example.no")], "newsletter")
        assert answer.customer_since_ms == NOW_MS + DAY_MS
    assert (desk.check(), desk.count(subject), desk.kinds().count("purchase.recorded")) == ("withdrawn", 1, 3)


def test_nothing_new_is_said_of_a_restricted_customer(desk: Desk) -> None:
    desk.give("kari@example.no", NOW_MS)
    with desk.database.write() as connection:
        restrict(connection, desk.handle(), "claims", NOW_MS + HOUR_MS, "operator")
    desk.say(replace(purchase(), email="kari@example.no"), NOW_MS + DAY_MS)
    assert desk.kinds()[-1] == "purchase.recorded"


def test_what_was_dropped_is_counted_by_class_and_its_value_is_nowhere(desk: Desk) -> None:
    dropped = (Dropped("company", "card_number"), Dropped("other", "national_id"), Dropped("other", "national_id"))
    desk.say(replace(sign_up(), dropped=dropped), NOW_MS)
    leaves = [leaf for leaf in desk.world.leaves() if leaf["kind"] == "minimisation.dropped"]
    assert [(leaf["field"], leaf["rule"], leaf["count"]) for leaf in leaves] == [
        ("company", "card_number", 1),
        ("other", "national_id", 2),
    ]
    allowed = {"v", "id", "kind", "recorded_at", "subject", "source", "field", "rule", "count"}
    assert all(set(leaf) <= allowed for leaf in leaves)


def test_a_withdrawal_link_of_nobody_is_answered_with_nothing(desk: Desk) -> None:
    assert desk.say(link_withdrawal(bytes(16)), NOW_MS) == []
    assert desk.world.leaves() == []
