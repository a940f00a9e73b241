"""An erasure is complete when every processor of the register has answered for it, and not before."""

import json
from dataclasses import replace
from types import MappingProxyType

import pytest
from sqlalchemy import select

from ledger import erasure, erasure_work
from ledger.errors import NotFoundError
from ledger.log import lock_head
from ledger.recorder import sealed_address
from ledger.residual import residual_copies
from ledger.sealing import unseal_versioned
from ledger.tables import erasure as erasure_table
from ledger.tables import relay
from schemas.entry import parse_time
from schemas.policy import Policy
from tests.ledger.desk import DAY_MS, HOUR_MS, KARI, NOW_MS, Desk, at_once, sign_up, withdrawal
from tests.ledger.test_carrying import ALL, allow
from tests.world import World

ERASED_MS = NOW_MS + HOUR_MS
UNTIL_MS = NOW_MS + 900 * DAY_MS


@pytest.fixture
def desk(any_world: World) -> Desk:
    allow(any_world)
    return Desk(any_world)


def erase(desk: Desk, email: str = KARI, at_ms: int = ERASED_MS) -> bytes:
    """Returns the erasure's id."""
    handle = desk.handle(email)
    with desk.database.write() as connection:
        lock_head(connection)
        position = erasure.erase(connection, desk.recorder(at_ms), handle, "consent_withdrawn").position
    return bytes.fromhex(desk.world.leaves()[position]["id"])


def answer(
    desk: Desk, erasure_id: bytes, processor: str, outcome: str, until_ms: int | None = None, reason: str | None = None
) -> bool:
    """As the relayer ends a relay; whether the erasure is complete with it."""
    mine = (relay.c.cause == erasure_id) & (relay.c.processor == processor) & (relay.c.action == "erase")
    ended = {"status": "confirmed", "outcome": outcome, "reason": reason, "retained_until_ms": until_ms, "box": None}
    with desk.database.write() as connection:
        connection.execute(relay.update().where(mine).values(**ended, updated_at_ms=ERASED_MS + HOUR_MS))
        return erasure_work.complete_if_done(connection, erasure_id, desk.world.policy, ERASED_MS + DAY_MS)


def standing(desk: Desk, erasure_id: bytes) -> erasure_work.Standing:
    with desk.database.read() as connection:
        return erasure_work.status(connection, erasure_id, desk.world.policy)


def completions(desk: Desk) -> list[dict[str, str]]:
    return [leaf for leaf in desk.world.leaves() if leaf["kind"] == "erasure.completed"]


def test_every_processor_is_asked_by_every_address(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erasure_id = erase(desk)
    rows = desk.relays(action="erase")
    assert [(row.processor, row.status, row.urgent, row.cause) for row in rows] == [
        (key, "pending", 1, erasure_id) for key in ALL
    ]
    assert {unseal_versioned(desk.keyring["kek"], row.box, row.id) for row in rows} == {KARI.encode()}
    assert desk.relays(action="withdraw") == [], "an erasure is more than a withdrawal, and comes in its place"


def test_it_is_complete_with_the_last_answer_and_says_so_once(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    handle = desk.handle()
    erasure_id = erase(desk)
    assert not answer(desk, erasure_id, "google", "removed")
    assert not answer(desk, erasure_id, "stripe", "not_found")
    assert completions(desk) == []
    assert answer(desk, erasure_id, "wordpress", "removed")
    assert not answer(desk, erasure_id, "wordpress", "removed"), "said already"
    (leaf,) = completions(desk)
    assert (leaf["ref"], leaf["subject"], leaf["outcome"]) == (erasure_id.hex(), handle.hex(), "removed")
    assert "retained_until" not in leaf
    assert standing(desk, erasure_id).completed_at_ms == ERASED_MS + DAY_MS
    assert desk.problems() == []


def test_what_must_be_kept_is_complete_with_the_latest_date(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erasure_id = erase(desk)
    answer(desk, erasure_id, "google", "retained", NOW_MS + DAY_MS, "trash")
    answer(desk, erasure_id, "stripe", "retained", UNTIL_MS, "dispute")
    assert answer(desk, erasure_id, "wordpress", "removed")
    (leaf,) = completions(desk)
    assert (leaf["outcome"], parse_time(leaf["retained_until"])) == ("retained", UNTIL_MS)


@pytest.mark.parametrize("status", ["pending", "parked", "superseded"])
def test_an_outcome_that_is_not_confirmed_completes_nothing(desk: Desk, status: str) -> None:
    desk.give(KARI, NOW_MS)
    erasure_id = erase(desk)
    answer(desk, erasure_id, "google", "removed")
    answer(desk, erasure_id, "wordpress", "removed")
    with desk.database.write() as connection:
        connection.execute(relay.update().where(relay.c.processor == "stripe").values(status=status, outcome="removed"))
        assert not erasure_work.complete_if_done(connection, erasure_id, desk.world.policy, ERASED_MS)
    assert completions(desk) == []


def test_not_covered_is_no_answer_however_it_is_written(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erasure_id = erase(desk)
    assert not any(answer(desk, erasure_id, processor, "not_covered") for processor in ALL)


def test_with_no_processor_at_all_it_is_never_complete(desk: Desk) -> None:
    desk.world.policy = replace(desk.world.policy, processors=MappingProxyType({}))
    desk.give(KARI, NOW_MS)
    erasure_id = erase(desk)
    with desk.database.write() as connection:
        assert not erasure_work.complete_if_done(connection, erasure_id, desk.world.policy, ERASED_MS)
    assert standing(desk, erasure_id).answers == ()


def test_a_processor_that_may_not_erase_is_a_task_for_people_and_holds_up_completion(desk: Desk) -> None:
    allow(desk.world, ["erase"], "google", "wordpress")
    changed = {
        key: replace(one, actions=one.actions or ("withdraw",)) for key, one in desk.world.policy.processors.items()
    }
    desk.world.policy = replace(desk.world.policy, processors=MappingProxyType(changed))
    desk.give(KARI, NOW_MS)
    erasure_id = erase(desk)
    assert [row.processor for row in desk.relays(action="withdraw")] == ["stripe"], "until then nothing is sent there"
    (task,) = desk.relays(processor="stripe", action="erase")
    assert (task.status, task.outcome, task.reason) == ("parked", "not_covered", "action_not_allowed")
    assert task.box is not None, "or nobody could do it"
    (said,) = [leaf for leaf in desk.world.leaves() if leaf["kind"] == "relay.parked"]
    assert (said["processor"], said["action"], said["ref"]) == ("stripe", "erase", erasure_id.hex())
    assert not answer(desk, erasure_id, "google", "removed")
    assert not answer(desk, erasure_id, "wordpress", "removed")
    assert answer(desk, erasure_id, "stripe", "removed"), "an operator did it"


def test_of_whom_no_address_is_known_nobody_can_be_searched(desk: Desk) -> None:
    refused = sign_up()
    desk.say(replace(refused, decisions=(replace(refused.decisions[0], state="refused"),)), NOW_MS)
    erase(desk)
    assert {(row.processor, row.status, row.reason) for row in desk.relays(action="erase")} == {
        (key, "parked", "no_address") for key in ALL
    }


def test_who_comes_back_and_is_erased_again_is_another_item(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    first = erase(desk)
    with desk.database.write() as connection:
        connection.execute(relay.update().where(relay.c.processor == "stripe").values(status="parked", reason="x"))
    desk.give(KARI, NOW_MS + 2 * DAY_MS)
    second = erase(desk, at_ms=NOW_MS + 3 * DAY_MS)
    assert [row.status for row in desk.relays(cause=first, action="erase")] == ["pending", "parked", "pending"]
    assert [answer(desk, second, key, "removed") for key in ALL] == [False, False, True]
    assert standing(desk, first).completed_at_ms is None
    assert [answer(desk, first, key, "not_found") for key in ALL] == [False, False, True]
    with desk.database.read() as connection:
        assert [one.id for one in erasure_work.newest(connection, desk.world.policy, 10)] == [second, first]
        assert erasure_work.newest(connection, desk.world.policy, 10, open_only=True) == []


def test_older_relays_that_wait_are_over_and_one_that_is_under_way_is_left_alone(desk: Desk) -> None:
    desk.say(withdrawal(KARI), NOW_MS)  # nobody's address yet
    desk.give(KARI, NOW_MS + HOUR_MS)
    at_ms = NOW_MS + DAY_MS
    own = relay.c.action == "give"
    with desk.database.write() as connection:
        claimed = own & (relay.c.processor == "google")
        connection.execute(relay.update().where(claimed).values(claimed_until_ms=at_ms + 1))
    erase(desk, at_ms=at_ms)
    assert {row.processor: row.status for row in desk.relays(action="give")} == {
        "google": "pending",
        "stripe": "superseded",
        "wordpress": "superseded",
    }
    assert {(row.status, row.reason, row.box) for row in desk.relays(action="withdraw")} == {
        ("superseded", "subject_erased", None)
    }


def test_what_is_carried_for_somebody_else_by_the_same_address_is_not_over(desk: Desk) -> None:
    """Their rectification takes the address away: it was never theirs."""
    desk.give(KARI, NOW_MS)
    desk.give("ola@example.no", NOW_MS)
    ola = desk.handle("ola@example.no")
    boxed = desk.relays(subject=desk.handle(), action="give")[0].id
    with desk.database.write() as connection:
        box = sealed_address(desk.recorder(NOW_MS), boxed, [KARI])
        connection.execute(relay.update().where(relay.c.id == boxed).values(subject=ola, action="rectify", box=box))
    erase(desk, at_ms=NOW_MS + DAY_MS)
    assert [row.status for row in desk.relays(action="rectify")] == ["pending"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_last_answers_at_once_complete_it_once(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erasure_id = erase(desk)
    answer(desk, erasure_id, "google", "removed")
    found = at_once([lambda key=key: answer(desk, erasure_id, key, "removed") for key in ("stripe", "wordpress")])
    assert sorted(found) == [False, True]
    assert len(completions(desk)) == 1


def test_what_is_no_erasure_cannot_be_completed_or_shown(desk: Desk) -> None:
    with desk.database.write() as connection:
        assert not erasure_work.complete_if_done(connection, b"\x01" * 16, desk.world.policy, ERASED_MS)
    with pytest.raises(NotFoundError):
        standing(desk, b"\x01" * 16)
    with desk.database.read() as connection:
        assert connection.execute(select(erasure_table)).all() == []


# What is left, until when.


def copies_of(policy: Policy, found: erasure_work.Standing) -> dict[tuple[str, str], int | None]:
    return {
        (copy.processor, copy.ground or (copy.what.en if copy.what else "")): copy.until_ms
        for copy in residual_copies(policy, found.answers)
    }


def test_residual_copies_have_dates_from_each_processors_own_answer(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erasure_id = erase(desk)
    waiting = copies_of(desk.world.policy, standing(desk, erasure_id))
    assert set(waiting.values()) == {None}, "no date before anything is deleted"
    answer(desk, erasure_id, "google", "removed")
    answer(desk, erasure_id, "wordpress", "not_found")
    answer(desk, erasure_id, "stripe", "retained", reason="bookkeeping")
    answered_ms = ERASED_MS + HOUR_MS
    assert copies_of(desk.world.policy, standing(desk, erasure_id)) == {
        ("wordpress", "Backups of the website"): answered_ms + 60 * DAY_MS,
        # The financial year of 2096 and five years more, to the end of its last day in Norway.
        ("stripe", "bookkeeping"): parse_time("2101-12-31T23:00:00.000Z") - 1,
        ("stripe", "Payments, and what Stripe itself must keep by law"): None,
        ("google", "Deleted mail that can be restored"): answered_ms + 55 * DAY_MS,
        ("google", "Copies in Google's systems"): answered_ms + 235 * DAY_MS,
    }
    (leaf,) = completions(desk)
    assert leaf["retained_until"] == "2101-12-31T22:59:59.999Z"


def test_the_operator_sees_every_erasure_and_can_answer_in_two_languages(desk: Desk) -> None:
    desk.give(KARI, NOW_MS)
    erasure_id = erase(desk)
    answer(desk, erasure_id, "google", "removed")
    command = desk.world.command
    (listed,) = json.loads(command("erasures", "list", "--open", "--json").stdout)
    assert (listed["id"], listed["answered"], listed["waiting"]) == (erasure_id.hex(), "1 of 3", "stripe, wordpress")
    shown = json.loads(command("erasures", "show", erasure_id.hex(), "--language", "nb", "--json").stdout)
    assert [one["says"] for one in shown["processors"]] == ["slettet", "ikke ferdig ennå", "ikke ferdig ennå"]
    dated = {one["what"]: one["until"] for one in shown["copies"]}
    assert dated["Sikkerhetskopier av nettstedet"] == "60 dager"
    assert dated["Slettet e-post som kan gjenopprettes"] == "2096-11-26"
    assert command("erasures", "show", "00" * 16).exit_code == 1
    assert KARI not in str(shown)
