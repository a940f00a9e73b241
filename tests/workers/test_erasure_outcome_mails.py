"""The last letter to somebody who is erased: what each recipient has answered, and what is left where until when."""

import pytest
from sqlalchemy import select, update

from ledger.erasure_work import complete_if_done
from ledger.tables import erasure, relay
from schemas.texts import day
from tests.ledger.desk import DAY_MS, KARI, Desk
from tests.world import World, body_of
from workers.context import now_ms
from workers.mails.erasure_outcome import ANSWERED_WITHIN_MS


@pytest.fixture
def desk(any_world: World) -> Desk:
    """Kari is erased, and has her receipt."""
    any_world.give(KARI)
    done = any_world.command("subjects", "erase", "--email", KARI, "--yes")
    assert done.exit_code == 0, done.output
    any_world.sign()
    carry(any_world)
    return Desk(any_world)


def carry(world: World) -> None:
    with world.database.write() as connection:  # its next attempt is now
        waits = (relay.c.processor == "mail") & (relay.c.status == "pending")
        connection.execute(update(relay).where(waits).values(next_attempt_at_ms=0))
    world.carry()


def answer(desk: Desk, **outcomes: str) -> None:
    now = now_ms()
    with desk.database.write() as connection:
        for processor, outcome in outcomes.items():
            own = (relay.c.action == "erase") & (relay.c.processor == processor)
            values = {"status": "confirmed", "outcome": outcome, "updated_at_ms": now}
            if outcome == "retained":
                values |= {"reason": "bookkeeping", "retained_until_ms": now + 5 * 365 * DAY_MS}
            connection.execute(update(relay).where(own).values(values))
        erasure_id = connection.execute(select(erasure.c.id)).scalar_one()
        complete_if_done(connection, erasure_id, desk.world.policy, now)


def subjects(desk: Desk) -> list[str]:
    return [str(mail["Subject"]) for mail in desk.world.mails()]


def test_it_waits_for_every_answer_and_then_says_all_of_it_with_its_dates(desk: Desk) -> None:
    answer(desk, wordpress="removed", google="not_found")
    carry(desk.world)
    assert "Hva det ble av slettingen" not in " ".join(subjects(desk))
    answer(desk, stripe="retained")
    carry(desk.world)
    assert "Hva det ble av slettingen din hos Vizpro AS / What became of your erasure" in subjects(desk)[-1]
    text = body_of(desk.world.mails()[-1]).replace("\r\n    ", " ").replace("\n    ", " ")
    for words in ("WP Engine: slettet", "Google Workspace: nothing was found", "Stripe: noe må beholdes en tid"):
        assert f"  * {words}" in text
    assert f"Backups of the website, until {day(now_ms() + 60 * DAY_MS, 'en')} at the latest" in text
    assert f"Bilag (bokføringsloven § 13), senest til {day(now_ms() + 5 * 365 * DAY_MS, 'nb')}" in text
    with desk.database.read() as connection:
        assert (
            connection.execute(select(relay.c.box).where(relay.c.processor == "mail", relay.c.box.is_not(None))).all()
            == []
        )


def test_before_the_month_is_over_it_says_what_is_known(desk: Desk) -> None:
    with desk.database.write() as connection:
        connection.execute(update(erasure).values(started_at_ms=now_ms() - ANSWERED_WITHIN_MS))
    answer(desk, wordpress="removed")
    carry(desk.world)
    text = body_of(desk.world.mails()[-1])
    assert "WP Engine: deleted" in text
    assert "Stripe: not done yet" in text
