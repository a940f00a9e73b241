"""Who may ask how often: each source by itself, strangers among themselves, and a log that cannot be filled."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from ledger.tables import metadata
from schemas.refusal import Refused
from tests.webhooks.capture import inbox_rows, post
from tests.webhooks.test_refusals import assert_refused
from tests.world import ROOT, World, checkout_event, settings_for
from webhooks import limits
from webhooks.limits import FailureLimit, LogSample, RateLimit, SourceLimit

CF7 = "newsletter-contact-form-7"
BODY = json.dumps({"your-email": "kari@example.test", "gdpr-consent": "1"}).encode()


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[World]:
    """One delivery a second of each source, ten at once."""
    world = World(settings_for(tmp_path, source_limit_per_s=1))
    yield world
    world.close()


def test_as_many_as_the_burst_at_once_and_then_one_by_one() -> None:
    limit = RateLimit(2.0, 3)
    assert [limit.take("a", 0.0) for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert [limit.take("a", 0.5), limit.take("a", 0.5)] == [0, 0.5]
    assert [limit.take("b", 0.5) for _ in range(3)] == [0, 0, 0]  # another's bucket is its own
    assert [limit.take("a", 9.0) for _ in range(4)] == [0, 0, 0, 0.5]  # and never holds more than the burst


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_never_more_than_the_burst_and_what_has_flowed_since(gaps: list[float], per_s: int, burst: int) -> None:
    limit, now_s, taken = RateLimit(per_s, burst), 0.0, 0
    for gap in gaps:
        now_s += gap
        wait_s = limit.take("a", now_s)
        taken += not wait_s
        assert 0 <= wait_s <= 1 / per_s + 1e-9
        assert taken <= burst + now_s * per_s + 1e-6


def test_who_waits_as_long_as_it_was_told_is_let_in() -> None:
    limit = RateLimit(3.0, 1)
    limit.take("a", 0.0)
    assert limit.take("a", limit.take("a", 0.1) + 0.1 + 1e-9) == 0


def test_a_clock_that_steps_back_opens_nothing() -> None:
    limit = RateLimit(1.0, 2)
    assert [limit.take("a", 100.0), limit.take("a", 100.0)] == [0, 0]
    assert limit.take("a", 50.0) > 0


def test_the_memory_of_it_is_bounded() -> None:
    limit = RateLimit(1.0, 1, keys_max=100)
    for number in range(10_000):
        limit.take(f"2001:db8::{number:x}", 0.0)
    assert len(limit) == 100
    assert limit.take("2001:db8::270f", 0.0) > 0  # the newest is remembered


def test_a_source_is_told_when_to_come_back(clock: Clock) -> None:
    limit = SourceLimit(2, clock)
    for _ in range(2 * limits.SOURCE_BURST_S):
        limit.admit("form:a")
    with pytest.raises(Refused) as refused:
        limit.admit("form:a")
    assert (refused.value.status, refused.value.reason, refused.value.retry_after_s) == (429, "too_many_deliveries", 1)
    limit.admit("form:b")
    clock.now_s += 0.5
    limit.admit("form:a")


def test_no_limit_is_none() -> None:
    limit = SourceLimit(0)
    for _ in range(5000):
        limit.admit("form:a")


def test_strangers_are_limited_by_address_and_in_all(clock: Clock) -> None:
    limit, refused = FailureLimit(clock), Refused(401, "secret_mismatch")
    told = [limit.told_to("192.0.2.1", refused) for _ in range(limits.ADDRESS_BURST + 1)]
    assert told[:-1] == [refused] * limits.ADDRESS_BURST
    assert (told[-1].status, told[-1].reason, told[-1].retry_after_s) == (429, "too_many_failures", 1)
    assert limit.told_to("192.0.2.2", refused) is refused
    for number in range(limits.STRANGERS_BURST):
        last = limit.told_to(f"198.51.100.{number}", refused)
    assert last.status == 429


def test_a_log_line_says_how_many_it_stands_for(clock: Clock) -> None:
    sample = LogSample(3, clock)
    assert [sample.take("a") for _ in range(6)] == [0, 0, 0, None, None, None]
    assert sample.take("b") == 0
    clock.now_s += 20
    assert [sample.take("a"), sample.take("a")] == [3, None]


def test_a_busy_source_gets_429_and_no_other_notices(limited: World) -> None:
    answers = [post(limited, CF7, BODY.replace(b"kari", b"k%d" % number)) for number in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert_refused(answers[-1], 429, "too_many_deliveries")
    assert int(answers[-1].headers["Retry-After"]) == 1
    assert limited.post_signed("newsletter", {"email": "kari@example.test", "newsletter": "yes"}).status_code == 200
    assert limited.post_stripe(checkout_event()).status_code == 200
    assert inbox_rows(limited) == 12


def test_a_hint_counts_once_and_is_limited_before_the_database_is_asked(limited: World) -> None:
    hint = {"object": "v2.core.event", "id": "evt_thin", "type": "v1.checkout.session.completed"}
    answers = [limited.post_stripe(hint) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [503] * 10 + [429]  # nobody has read Stripe yet


def test_forgeries_take_nothing_from_the_source_that_they_name(limited: World) -> None:
    for _ in range(50):
        assert post(limited, CF7, BODY, **{"X-Gdpr-Token": "wrong"}).status_code == 401
    assert post(limited, CF7, BODY).status_code == 200


def test_however_many_strangers_fail_a_real_sender_is_served(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ADDRESS_BURST", 5)
    app = World(replace(world.settings, data_dir=world.settings.data_dir / "other"))
    answers = [post(app, CF7, BODY, **{"X-Gdpr-Token": "wrong"}) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
    assert_refused(answers[-1], 429, "too_many_failures")
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert app.client.get("/w/" + "A" * 46).status_code == 429
    assert post(app, CF7, BODY).status_code == 200
    app.close()


def rows_of_every_table(world: World) -> dict[str, int]:
    with world.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def bytes_of_every_file(world: World) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in world.settings.data_dir.rglob("*") if path.is_file()}


def test_nothing_is_stored_for_whoever_does_not_prove_anything(world: World) -> None:
    """No row in any table, and no byte in any file."""
    world.give("kari@example.no")
    world.client.get("/metrics")
    rows, files = rows_of_every_table(world), bytes_of_every_file(world)
    assert rows["inbox"] > 0
    routes = [rule for rule in world.client.application.url_map.iter_rules() if "POST" in (rule.methods or ())]
    for rule in routes:
        values = dict.fromkeys(rule.arguments, "kanari7f3a") | (
            {"form_key": CF7} if "form_key" in rule.arguments else {}
        )
        path = world.client.application.url_map.bind("x").build(rule.endpoint, values, method="POST")
        for body, media_type in ((BODY, "application/json"), (b"confirm=1", "application/x-www-form-urlencoded")):
            headers = {"X-Gdpr-Token": "kanari7f3a", "Stripe-Signature": "t=1,v1=00", "Authorization": "Bearer x.y.z"}
            answer = world.client.post(path, data=body, content_type=media_type, headers=headers)
            asks_again = path == "/rights" and body == b"confirm=1"  # the form once more, with what is wrong
            assert asks_again or 400 <= answer.status_code < 500, path
    assert rows_of_every_table(world) == rows
    assert bytes_of_every_file(world) == files


PROGRAM = """
import sys
from pathlib import Path
from tests.world import World, settings_for
from tests.webhooks.capture import post

world = World(settings_for(Path(sys.argv[1])))
for _ in range(500):
    post(world, "newsletter-contact-form-7", b"{}", **{"X-Gdpr-Token": "wrong"})
    world.client.get("/w/unknown")
world.close()
"""


def test_a_flood_leaves_a_few_lines_in_the_log(tmp_path: Path) -> None:
    program = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    refused = [line for line in lines if line["event"] == "refused"]
    assert {line["reason"] for line in refused} == {"secret_mismatch", "link_unknown"}
    assert 2 * limits.LINES_PER_MINUTE <= len(refused) <= 4 * limits.LINES_PER_MINUTE  # some time has gone by
    assert all("suppressed" in line for line in refused)


def test_what_was_refused_is_counted_all_the_same(world: World) -> None:
    name = 'samtykke_refused_total{reason="secret_mismatch",route="/webhooks/forms/<form_key>"}'

    def count() -> float:
        lines = world.client.get("/metrics").get_data(as_text=True).splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)

    before = count()
    for _ in range(3 * limits.LINES_PER_MINUTE):
        post(world, CF7, BODY, **{"X-Gdpr-Token": "wrong"})
    assert count() == before + 3 * limits.LINES_PER_MINUTE
