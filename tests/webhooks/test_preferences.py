"""What somebody sees and changes behind the withdrawal link: less at once, more by mail, and who has confirmed."""

import secrets
import statistics
import time

import pytest
from sqlalchemy import select, update

from ledger.keyring import generate_keys, load_keyring, read_key, replace_key
from ledger.links import WITHDRAW
from ledger.tables import link, relay
from schemas.token import format_token, parse_token
from tests.webhooks.pages import ADDRESS, BY_HAND, assert_page
from tests.webhooks.test_links import SCANNERS, digest
from tests.world import World, body_of

ENGLISH = {"Accept-Language": "en"}
TEN_YEARS_MS = 10 * 365 * 24 * 3600 * 1000


@pytest.fixture
def kari(any_world: World) -> World:
    """Kari has the newsletter and offers, and has her receipt."""
    any_world.give(ADDRESS, newsletter="yes", offers="yes")
    any_world.sign()
    any_world.carry()
    any_world.carry()
    return any_world


def choose(world: World, *purposes: str) -> None:
    answer = world.client.post(_preferences(world), data=BY_HAND | {"purpose": list(purposes)}, headers=ENGLISH)
    assert_page(answer, "Saved")
    world.record()
    world.sign()
    world.carry()
    world.carry()


def _preferences(world: World) -> str:
    return world.link("w").replace("/w/", "/p/")


def reasons(world: World) -> dict[str, str]:
    return {purpose: str(world.check(ADDRESS, purpose)["reason"]) for purpose in world.policy.purposes}


def test_less_ends_at_once_and_the_rest_goes_on(kari: World) -> None:
    text = kari.client.get(_preferences(kari)).get_data(as_text=True)
    assert text.count(" checked") == 2
    kari.client.post(_preferences(kari), data=BY_HAND | {"purpose": ["newsletter"]})
    assert kari.check(ADDRESS, "offers")["reason"] == "withdrawal_pending"  # before anything is recorded
    kari.record()
    assert reasons(kari) == {
        "newsletter": "given",
        "offers": "withdrawn",
        "information": "never_asked",
        "profiling": "never_asked",
    }


def test_what_is_accepted_and_not_yet_recorded_is_shown_as_it_counts(kari: World) -> None:
    kari.client.post(kari.link("w"), data=BY_HAND)
    assert_page(kari.client.get(kari.link("w"), headers=ENGLISH), "Your consent is withdrawn", "It takes effect now")
    assert " checked" not in kari.client.get(_preferences(kari)).get_data(as_text=True)


def test_more_begins_only_when_the_mail_is_confirmed(kari: World) -> None:
    choose(kari, "newsletter", "offers", "information")
    assert reasons(kari)["information"] == "requested"
    assert kari.confirm().status_code == 200
    kari.record()
    assert reasons(kari)["information"] == "given"


def test_less_and_more_in_one_go(kari: World) -> None:
    choose(kari, "offers", "information")
    assert (reasons(kari)["newsletter"], reasons(kari)["information"]) == ("withdrawn", "requested")
    kari.confirm()
    kari.record()
    assert (reasons(kari)["newsletter"], reasons(kari)["offers"], reasons(kari)["information"]) == (
        *("withdrawn", "given", "given"),
    )


def test_whoever_has_withdrawn_everything_comes_back_by_the_same_link_and_a_mail(kari: World) -> None:
    choose(kari)
    assert set(reasons(kari).values()) == {"withdrawn", "never_asked"}
    choose(kari, "newsletter")
    assert reasons(kari)["newsletter"] == "withdrawn"  # asked again, and not yet answered
    kari.confirm()
    kari.record()
    assert reasons(kari)["newsletter"] == "given"


def test_saving_what_is_so_already_changes_nothing(kari: World) -> None:
    before = len(kari.leaves())
    choose(kari, "newsletter", "offers")
    assert len(kari.leaves()) == before


def test_a_purpose_that_nobody_has_and_a_body_without_the_button_do_nothing(kari: World) -> None:
    choose(kari, "newsletter", "offers", "parties")
    assert kari.client.post(_preferences(kari), data={"purpose": "newsletter"}).status_code == 400
    assert reasons(kari)["offers"] == "given"


def test_the_page_says_since_when_and_which_systems_have_confirmed(kari: World) -> None:
    path = kari.link("w")
    assert_page(kari.client.post(path, data=BY_HAND, headers=ENGLISH), "Your consent is withdrawn", "See which systems")
    kari.record()
    assert_page(kari.client.get(path, headers=ENGLISH), "Newsletter: since ", "Stripe: is being told")
    with kari.database.write() as connection:
        done = relay.c.action == "withdraw"
        connection.execute(update(relay).where(done, relay.c.processor == "stripe").values(status="confirmed"))
        connection.execute(update(relay).where(done, relay.c.processor == "wordpress").values(status="parked"))
    text = kari.client.get(path, headers=ENGLISH)
    assert_page(
        text, "Stripe: confirmed ", "WP Engine: one of us is doing it by hand", "Google Workspace: is being told"
    )


def test_withdrawing_takes_no_more_steps_than_consenting(world: World) -> None:
    """GDPR Article 7(3). Steps: pages that are opened, and buttons that are pressed."""
    consenting = withdrawing = 0
    assert world.post_signed("newsletter", {"email": ADDRESS, "newsletter": "yes"}).status_code == 200
    consenting += 2  # the website's form is opened, and sent
    world.record()
    world.carry()
    assert world.client.get(world.link("c")).status_code == 200
    assert world.confirm().status_code == 200
    consenting += 2
    world.record()
    assert world.check(ADDRESS)["reason"] == "given"
    assert world.client.get(world.link("w")).status_code == 200
    assert world.client.post(world.link("w"), data=BY_HAND).status_code == 200
    withdrawing += 2
    assert world.check(ADDRESS)["reason"] == "withdrawal_pending"
    assert withdrawing <= consenting


def test_opening_the_pages_changes_nothing(kari: World) -> None:
    before = digest(kari)
    for path in (_preferences(kari), "/rights", "/privacy"):
        for method in ("GET", "HEAD", "OPTIONS"):
            for agent in SCANNERS:
                answer = kari.client.open(path, method=method, headers={"User-Agent": agent})
                assert answer.status_code == 200
                assert "Set-Cookie" not in answer.headers
    assert digest(kari) == before


def test_a_token_of_ten_years_ago_works_though_the_key_was_rotated_since(kari: World) -> None:
    path, keys_dir = kari.link("w"), kari.settings.keys_dir
    with kari.database.write() as connection:
        old = link.c.kind == WITHDRAW
        connection.execute(update(link).where(old).values(created_at_ms=link.c.created_at_ms - TEN_YEARS_MS))
    for _ in range(10):
        key = read_key(keys_dir, "token_mac")
        fresh = generate_keys("samtykke.example.org/test")["token_mac"].value
        versions = {**key.versions, key.current + 1: fresh}
        replace_key(keys_dir, "token_mac", type(key)(key.current + 1, versions))
    assert kari.client.post(path, data=BY_HAND).status_code == 200
    kari.record()
    assert reasons(kari)["newsletter"] == "withdrawn"


def guesses(count: int) -> list[str]:
    """Tokens of the right shape, by somebody who knows all but the key."""
    return [
        format_token(key_id=1, link_id=secrets.token_bytes(16), mac_key=secrets.token_bytes(32)) for _ in range(count)
    ]


def test_no_guessed_token_is_a_hit(world: World) -> None:
    before = digest(world)
    answers = {world.client.post(f"/w/{token}", data=BY_HAND).status_code for token in guesses(500)}
    assert answers == {404}
    assert digest(world) == before


@pytest.mark.long
def test_a_hundred_thousand_guesses_hit_nothing_and_cost_the_same(world: World) -> None:
    """Ours and a stranger's take the same way: no difference that could be measured leads anywhere."""
    world.give(ADDRESS)
    world.sign()
    world.carry()
    keys = load_keyring("web", world.settings.keys_dir)["token_mac"].versions
    with world.database.read() as connection:
        real = connection.execute(select(link.c.id)).scalars().first()
    assert real is not None
    times: dict[str, list[float]] = {"stranger": [], "near": []}
    for number, token in enumerate(guesses(100_000)):
        # Every second one is of a link that there is, with a wrong MAC.
        near = format_token(key_id=1, link_id=real, mac_key=secrets.token_bytes(32))
        kind, tried = ("near", near) if number % 2 else ("stranger", token)
        began = time.perf_counter()
        with pytest.raises(Exception, match="token_not_ours"):
            parse_token(tried, keys)
        times[kind].append(time.perf_counter() - began)
    ratio = statistics.median(times["near"]) / statistics.median(times["stranger"])
    assert 0.8 < ratio < 1.25


def test_a_body_that_is_too_large_is_told_on_a_page_too(kari: World) -> None:
    asked = {"Accept": "text/html"} | ENGLISH
    answer = kari.client.post(kari.link("w"), data={"confirm": "1" * 5_000}, headers=asked)
    assert (answer.status_code, answer.mimetype) == (413, "text/html")


def test_every_mail_leads_to_the_choices(kari: World) -> None:
    assert _preferences(kari) in body_of(kari.mails()[-1])


@pytest.mark.parametrize("path", ["/w/", "/c/", "/r/", "/p/"])
def test_a_browser_that_is_refused_sees_a_page_and_a_program_json(world: World, path: str) -> None:
    asked = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"} | ENGLISH
    answer = world.client.get(path + guesses(1)[0], headers=asked)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    text = answer.get_data(as_text=True)
    assert "We do not know this link" in text
    assert "link_unknown" in text
    assert world.client.get(path + guesses(1)[0]).mimetype == "application/json"


def test_the_mails_of_a_choice_have_a_way_out_too(kari: World) -> None:
    choose(kari, "newsletter", "offers", "information")
    newest = kari.mails()[-1]
    assert newest["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "/w/" in body_of(newest)
