"""What a payment gives, what takes it back, and that neither depends on the order in which Stripe tells."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from sqlalchemy import select

from ledger.erasure import erase
from ledger.errors import RefusedError
from ledger.key_uses import uses_of
from ledger.log import lock_head
from ledger.product_rows import given_by, payment_of
from ledger.proof import keep_proof
from ledger.restriction import restrict
from ledger.retention import expire
from ledger.tables import product_access, relay
from schemas.message import Message, MessageType
from schemas.policy import Product, Text
from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, NOW_MS, Desk, withdrawal
from tests.ledger.test_carrying import allow
from tests.world import World

COURSE, MEMBERSHIP = "course", "membership"


def sell(world: World, *keys: str) -> None:
    products = {
        key: Product(key, Text(key, key), (f"price_{key}",), (f"plink_{key}",), "customer", None) for key in keys
    }
    world.policy = replace(world.policy, products=MappingProxyType(products))


@pytest.fixture
def desk(any_world: World) -> Desk:
    allow(any_world, ["product_access", "erase", "withdraw"], "wordpress")
    sell(any_world, COURSE, MEMBERSHIP)
    return Desk(any_world)


def paid(*payments: str, products: tuple[str, ...] = (COURSE,), email: str | None = KARI) -> Message:
    return Message(
        type=MessageType.PURCHASE,
        source="stripe",
        method="stripe",
        email=email,
        products=products,
        payments=payments or ("cs_1", "pi_1"),
    )


def ended(*payments: str, why: str = "charge_refunded") -> Message:
    return Message(
        type=MessageType.ACCESS_ENDED, source="stripe", method="stripe", reported=why, payments=payments or ("pi_1",)
    )


def access(desk: Desk) -> list[tuple[str, str, str]]:
    kinds = ("access.granted", "access.revoked")
    return [
        (leaf["kind"], leaf["product"], leaf.get("reason", "")) for leaf in desk.world.leaves() if leaf["kind"] in kinds
    ]


def tasks(desk: Desk) -> list[tuple[str, str, str]]:
    return [
        (row.action, row.product, row.status)
        for row in desk.relays()
        if row.action in ("grant_access", "revoke_access")
    ]


def test_a_paid_checkout_gives_access_on_the_basis_of_contract_and_never_a_consent(desk: Desk) -> None:
    desk.say(paid(), NOW_MS)
    assert desk.kinds() == ["access.granted", "purchase.recorded", "customer.recorded"]
    leaf = desk.world.leaves()[0]
    assert (leaf["product"], leaf["basis"], leaf["subject"]) == (COURSE, "contract", desk.handle().hex())
    (row,) = desk.relays()
    assert (row.processor, row.action, row.product, row.urgent) == ("wordpress", "grant_access", COURSE, 0)
    assert row.cause.hex() == leaf["id"]
    assert desk.check() == "never_asked"
    assert desk.payloads() == [{"email": KARI}], "nothing but the address is needed"
    assert desk.problems() == []


def test_a_purchase_of_something_else_makes_nobody_known(desk: Desk) -> None:
    desk.say(paid(products=()), NOW_MS)
    assert desk.kinds() == ["purchase.recorded"]
    assert desk.relays() == []


def test_events_that_come_twice_or_name_the_payment_otherwise_give_it_once(desk: Desk) -> None:
    desk.say(paid("cs_1", "sub_1"), NOW_MS)
    desk.say(paid("cs_1", "sub_1"), NOW_MS + 1)
    invoice = replace(paid("sub_1"), type=MessageType.ACCESS)
    desk.say(invoice, NOW_MS + 2)
    desk.say(replace(invoice, payments=("sub_1", "in_1")), NOW_MS + 3)
    assert len(access(desk)) == 1
    desk.say(ended("in_1", why="subscription_ended"), NOW_MS + HOUR_MS)
    assert access(desk)[-1] == ("access.revoked", COURSE, "subscription_ended")


def test_a_refund_takes_back_what_its_payment_gave_and_says_so_once(desk: Desk) -> None:
    desk.say(paid(products=(COURSE, MEMBERSHIP)), NOW_MS)
    desk.say(ended(), NOW_MS + HOUR_MS)
    desk.say(ended(), NOW_MS + 2 * HOUR_MS)
    assert sorted(access(desk)[2:]) == [
        ("access.revoked", COURSE, "charge_refunded"),
        ("access.revoked", MEMBERSHIP, "charge_refunded"),
    ]
    granted = {leaf["id"] for leaf in desk.world.leaves() if leaf["kind"] == "access.granted"}
    assert {leaf["ref"] for leaf in desk.world.leaves() if leaf["kind"] == "access.revoked"} == granted
    assert [task[0] for task in tasks(desk)].count("revoke_access") == 2
    assert desk.kinds().count("processor.reported") == 2
    assert desk.problems() == []


def test_a_product_that_was_paid_twice_stays_until_both_are_given_back(desk: Desk) -> None:
    desk.say(paid("cs_1", "pi_1"), NOW_MS)
    desk.say(paid("cs_2", "pi_2"), NOW_MS + 1)
    desk.say(ended("pi_1"), NOW_MS + HOUR_MS)
    assert "revoke_access" not in [task[0] for task in tasks(desk)]
    desk.say(ended("pi_2"), NOW_MS + 2 * HOUR_MS)
    assert [task[0] for task in tasks(desk)].count("revoke_access") == 1


def test_a_refund_that_comes_before_its_checkout_leaves_nothing_to_give(desk: Desk) -> None:
    desk.say(ended("pi_1"), NOW_MS)
    desk.say(paid("cs_1", "pi_1"), NOW_MS + 1)
    assert access(desk) == []
    assert tasks(desk) == []
    assert "purchase.recorded" in desk.kinds(), "it was bought all the same"


def test_an_invoice_that_comes_after_the_end_of_its_subscription_gives_nothing_new(desk: Desk) -> None:
    desk.say(paid("cs_1", "sub_1"), NOW_MS)
    desk.say(ended("sub_1"), NOW_MS + 1)
    desk.say(paid("sub_1", products=(MEMBERSHIP,)), NOW_MS + 2)
    assert [kind for kind, _, _ in access(desk)] == ["access.granted", "access.revoked"]


def test_without_an_address_it_is_a_task_for_people_and_no_error(desk: Desk) -> None:
    desk.say(paid(email=None), NOW_MS)
    assert desk.kinds() == ["access.granted", "relay.parked", "purchase.recorded"]
    (row,) = desk.relays()
    assert (row.action, row.status, row.reason, row.box) == ("grant_access", "parked", "no_address", None)
    assert desk.problems() == []
    # Given back before anybody has done it: nothing is left to do.
    desk.say(ended(), NOW_MS + HOUR_MS)
    assert tasks(desk) == [("grant_access", COURSE, "superseded")]


def test_a_task_that_somebody_has_done_is_to_be_undone(desk: Desk) -> None:
    desk.say(paid(email=None), NOW_MS)
    with desk.database.write() as connection:
        connection.execute(relay.update().values(status="confirmed", outcome="done"))
    desk.say(ended(), NOW_MS + HOUR_MS)
    assert tasks(desk)[-1] == ("revoke_access", COURSE, "parked")


def test_nobody_who_is_restricted_is_given_anything_until_they_decide(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    handle = desk.handle()
    with desk.database.write() as connection:
        restrict(connection, handle, "claims", NOW_MS + HOUR_MS, "operator")
    with pytest.raises(RefusedError, match="subject_restricted"), desk.database.write() as connection:
        desk.say_in(connection, paid(), NOW_MS + 2 * HOUR_MS)
    assert access(desk) == []


def test_whoever_has_access_is_not_forgotten_and_without_it_is(desk: Desk) -> None:
    desk.say(paid(), NOW_MS)
    expire(desk.database, desk.world.policy, NOW_MS + 400 * DAY_MS)
    assert desk.handle()
    desk.say(ended(), NOW_MS + 400 * DAY_MS)
    expire(desk.database, desk.world.policy, NOW_MS + 420 * DAY_MS)
    assert desk.kinds()[-1] == "subject.expired"
    assert desk.problems() == []


def test_whoever_withdraws_and_still_has_access_is_more_than_a_proof(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    desk.say(withdrawal(), NOW_MS + HOUR_MS)
    with desk.database.write() as connection:
        connection.execute(relay.update().values(status="confirmed"))
        assert keep_proof(connection, desk.recorder(NOW_MS + DAY_MS)) == 1
    desk.say(paid(), NOW_MS + 2 * DAY_MS)
    assert desk.kinds().count("subject.unrestricted") == 1
    with desk.database.write() as connection:
        assert keep_proof(connection, desk.recorder(NOW_MS + 30 * DAY_MS)) == 0
    assert desk.check() == "withdrawn"
    assert desk.problems() == []


def test_no_name_of_a_payment_stands_in_the_database(desk: Desk) -> None:
    desk.say(paid("cs_live_a1", "pi_live_b2"), NOW_MS)
    with desk.database.read() as connection:
        rows = connection.execute(select(product_access)).all()
    assert len(rows) == 2
    assert not any(b"live" in bytes(row.tag) for row in rows)
    assert "live" not in str(desk.world.leaves())


def test_an_erasure_takes_the_rows_with_it(desk: Desk) -> None:
    desk.say(paid(), NOW_MS)
    handle = desk.handle()
    with desk.database.write() as connection:
        lock_head(connection)
        erase(connection, desk.recorder(NOW_MS + HOUR_MS), handle, "consent_withdrawn")
    assert desk.count(product_access) == 0
    desk.say(ended(), NOW_MS + DAY_MS)
    assert tasks(desk) == [("grant_access", COURSE, "superseded")]
    assert desk.problems() == []


def test_a_payment_is_still_known_when_the_key_of_its_tags_has_a_new_version(desk: Desk) -> None:
    desk.say(paid(), NOW_MS)
    old = desk.keyring["index_pepper"]
    new = replace(old, current=2, versions={**old.versions, 2: b"\x02" * 32})
    payment = payment_of(new, ["pi_1"])
    assert payment.current != payment_of(old, ["pi_1"]).current
    with desk.database.read() as connection:
        assert set(given_by(connection, payment)) == {COURSE}
        assert uses_of(connection, "index_pepper")[1]["grants"] == 2, "so the old version is not destroyed"
