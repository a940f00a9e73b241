"""Relay rows: each ends confirmed, superseded or parked with its reason, and what is true now decides."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from ledger.outbox import GIVE_UP_AFTER_MS, rearm
from ledger.tables import relay
from tests.ledger.desk import DAY_MS, HOUR_MS, MINUTE_MS, Desk, at_once, sign_up, withdrawal
from tests.simulators.process import SimulatorProcess
from tests.world import World, settings_for
from workers.context import now_ms
from workers.relay import carry_due

KARI = "kari@example.no"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("wordpress", tmp_path_factory.mktemp("wordpress")) as started:
        yield started


@pytest.fixture
def site(process: SimulatorProcess) -> Iterator[SimulatorProcess]:
    process.seed(
        {"plugin": True, "adapters": ["mailpoet"], "subscribers": [{"email": KARI, "purposes": ["newsletter"]}]}
    )
    yield process
    process.clear()


@pytest.fixture
def desk(tmp_path: Path, site: SimulatorProcess) -> Iterator[Desk]:
    """A world with one processor connected: WordPress. Stripe and Google are not."""
    settings = replace(settings_for(tmp_path), wordpress_url=site.url, wordpress_secret=site.secret)
    made = World(settings)
    yield Desk(made)
    made.close()


def carry(desk: Desk) -> int:
    return desk.world.carry(urgent=True)


def row_of(desk: Desk, processor: str = "wordpress", action: str = "withdraw") -> Any:
    (row,) = desk.relays(processor=processor, action=action)
    return row


def outcomes(desk: Desk) -> set[tuple[str, str, str]]:
    leaves = [leaf for leaf in desk.world.leaves() if leaf["kind"].startswith("relay.")]
    return {(leaf["kind"], leaf["processor"], leaf.get("outcome") or leaf["reason"]) for leaf in leaves}


def test_each_relay_ends_and_the_ledger_says_how(desk: Desk) -> None:
    desk.give(KARI, now_ms() - HOUR_MS)
    desk.say(withdrawal(), now_ms())
    assert carry(desk) == 3
    ended = {row.processor: (row.status, row.outcome, row.reason) for row in desk.relays(action="withdraw")}
    assert ended == {
        "wordpress": ("confirmed", "removed", None),
        "stripe": ("parked", None, "processor_not_connected"),
        "google": ("parked", None, "processor_not_connected"),
    }
    assert outcomes(desk) == {
        ("relay.completed", "wordpress", "removed"),
        ("relay.parked", "stripe", "processor_not_connected"),
        ("relay.parked", "google", "processor_not_connected"),
    }
    assert carry(desk) == 0


def test_a_suppressed_address_is_carried_from_its_box_which_is_then_wiped(desk: Desk) -> None:
    desk.say(withdrawal(KARI), now_ms())
    carry(desk)
    assert (row_of(desk).outcome, row_of(desk).box) == ("removed", None)
    assert row_of(desk, "stripe").box is not None, "parked: a replay must still know whom it means"


def test_a_processor_that_is_not_covered_is_never_called_done(desk: Desk, site: SimulatorProcess) -> None:
    site.seed({"plugin": False})
    desk.say(withdrawal(KARI), now_ms())
    carry(desk)
    assert row_of(desk).status == "parked"
    assert ("relay.parked", "wordpress", "not_covered") in outcomes(desk)


def give_again(desk: Desk, *withdrawn: str) -> None:
    """Given, withdrawn, given again; the relays of the withdrawal wait still."""
    desk.give(KARI, now_ms() - 3 * DAY_MS)
    desk.say(withdrawal(KARI, *withdrawn), now_ms() - 2 * DAY_MS)
    desk.give(KARI, now_ms() - HOUR_MS)
    assert desk.check() == "given"


def test_what_is_given_again_is_left_out_of_a_withdrawal_that_comes_late(desk: Desk, site: SimulatorProcess) -> None:
    give_again(desk)
    earlier = len(site.journal())
    carry(desk)
    (line,) = [one for one in site.journal()[earlier:] if one["path"].endswith("/withdraw")]
    assert "offers" in str(line)
    assert "newsletter" not in str(line)


def test_a_withdrawal_of_nothing_but_what_is_given_again_is_superseded(desk: Desk, site: SimulatorProcess) -> None:
    give_again(desk, "newsletter")
    earlier = len(site.journal())
    carry(desk)
    assert (row_of(desk).status, row_of(desk).reason) == ("superseded", "given_since")
    assert site.journal()[earlier:] == []


def test_a_withdrawal_that_is_only_accepted_yet_is_carried_all_the_same(desk: Desk) -> None:
    give_again(desk, "newsletter")
    desk.accept(desk.delivery(withdrawal(KARI, "newsletter")), now_ms())
    carry(desk)
    assert (row_of(desk).status, row_of(desk).outcome) == ("confirmed", "removed")


def test_a_temporary_failure_is_tried_again_and_is_no_entry(desk: Desk, site: SimulatorProcess) -> None:
    site.faults([{"status": 503}])
    desk.say(withdrawal(KARI), now_ms())
    before = now_ms()
    carry(desk)
    row = row_of(desk)
    assert (row.status, row.reason, row.attempts) == ("pending", "server_error", 1)
    assert before + 1_000 <= row.next_attempt_at_ms <= now_ms() + 2_000
    assert not [one for one in outcomes(desk) if one[1] == "wordpress"]
    make_due(desk)
    carry(desk)
    assert (row_of(desk).status, row_of(desk).attempts) == ("confirmed", 2)


def test_a_processor_that_says_at_once_is_not_hammered(desk: Desk, site: SimulatorProcess) -> None:
    site.faults([{"status": 429, "headers": {"Retry-After": "0"}, "count": None}])
    desk.say(withdrawal(KARI), now_ms())
    carry(desk)
    assert row_of(desk).attempts == 1
    assert row_of(desk).next_attempt_at_ms >= row_of(desk).updated_at_ms + 1_000


def test_a_wrong_secret_waits_for_the_operator_and_not_in_a_loop(desk: Desk, site: SimulatorProcess) -> None:
    site.faults([{"status": 401, "count": None}])
    desk.say(withdrawal(KARI), now_ms())
    carry(desk)
    row = row_of(desk)
    assert (row.status, row.reason) == ("pending", "authorization_not_forwarded")
    assert row.next_attempt_at_ms - row.updated_at_ms == 5 * MINUTE_MS


def test_after_thirty_days_it_is_parked_and_a_replay_can_still_end_it(desk: Desk, site: SimulatorProcess) -> None:
    site.faults([{"status": 503}])
    desk.say(withdrawal(KARI), now_ms() - GIVE_UP_AFTER_MS - MINUTE_MS)
    carry(desk)
    assert (row_of(desk).status, row_of(desk).reason) == ("parked", "server_error")
    assert ("relay.parked", "wordpress", "server_error") in outcomes(desk)
    with desk.database.write() as connection:
        assert rearm(connection, row_of(desk).id, now_ms())
    carry(desk)
    assert (row_of(desk).status, row_of(desk).outcome, row_of(desk).epoch) == ("confirmed", "removed", 2)


def test_relayers_at_once_carry_each_relay_once(desk: Desk, site: SimulatorProcess) -> None:
    earlier = len(site.journal())
    for number in range(12):
        desk.say(withdrawal(f"kari{number}@example.no"), now_ms())
    context = desk.world.context("relay")
    tried = at_once([partial(carry_due, context, urgent=True)] * 3)
    assert sum(tried) == 36
    assert {row.attempts for row in desk.relays()} == {1}
    assert len([one for one in site.journal()[earlier:] if one["path"].endswith("/withdraw")]) == 12


def make_due(desk: Desk) -> None:
    with desk.database.write() as connection:
        connection.execute(update(relay).values(next_attempt_at_ms=0))


def test_a_question_is_not_mailed_to_somebody_who_has_withdrawn_since(desk: Desk) -> None:
    desk.say(sign_up(), now_ms() - HOUR_MS)
    desk.say(withdrawal(), now_ms())
    desk.world.carry()
    (asked,) = desk.relays(action="confirmation")
    assert (asked.status, asked.reason) == ("superseded", "not_asked_any_more")
    assert desk.world.mails() == []


def test_a_question_waits_while_a_withdrawal_waits_to_be_recorded(desk: Desk) -> None:
    desk.say(sign_up(), now_ms() - HOUR_MS)
    desk.accept(desk.delivery(withdrawal()), now_ms())
    desk.world.carry()
    (asked,) = desk.relays(action="confirmation")
    assert (asked.status, asked.reason, desk.world.mails()) == ("pending", "withdrawal_pending", [])
    desk.world.record()
    make_due(desk)
    desk.world.carry()
    assert {row.status for row in desk.relays(action="confirmation")} == {"superseded"}


def test_a_receipt_waits_for_the_checkpoint_that_proves_it(desk: Desk) -> None:
    for message in (sign_up(), withdrawal()):
        desk.accept(desk.delivery(message), now_ms())
        desk.world.record()
    desk.world.carry()
    (receipt,) = desk.relays(action="receipt")
    assert (receipt.status, receipt.reason, desk.world.mails()) == ("pending", "checkpoint_awaited", [])
    desk.world.sign()
    make_due(desk)
    desk.world.carry()
    assert desk.relays(action="receipt")[0].status == "confirmed"
    assert len(desk.world.mails()) == 1


def test_a_mail_that_is_written_twice_is_one_mail(desk: Desk) -> None:
    desk.say(sign_up(), now_ms())
    desk.world.carry()
    with desk.database.write() as connection:  # as after a crash between the spool and the row
        connection.execute(update(relay).values(status="pending", next_attempt_at_ms=0))
    desk.world.carry()
    assert len(desk.world.mails()) == 1
    assert len(list(desk.world.settings.mail_spool_dir.iterdir())) == 1
