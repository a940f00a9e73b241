"""The links in mails: only a POST with the right words acts, however often and by whomever the link is opened."""

import hashlib
import secrets

import pytest
from sqlalchemy import delete, select, update

from ledger import retention
from ledger.keyring import load_keyring
from ledger.tables import inbox, link, metadata, rights_request, subject, subject_address, vault
from schemas.token import format_token
from tests.webhooks.pages import ADDRESS, BY_HAND, ONE_CLICK, assert_page, mail_both_links, mail_request
from tests.world import World, body_of
from workers.context import now_ms

SCANNERS = (
    "Mozilla/5.0 (compatible; Barracuda Sentinel)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",  # Safe Links
    "GoogleImageProxy",
    "Mimecast-URL-Protection",
    "curl/8.5.0",
)
MULTIPART = "multipart/form-data; boundary=b"
PART = '--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'


@pytest.fixture
def everything_mailed(any_world: World) -> World:
    """A link of each kind, on each database: Kari withdraws by one, confirms a sign-up by one, a request by one."""
    mail_both_links(any_world)
    mail_request(any_world)
    return any_world


def digest(world: World) -> str:
    """Of every row of every table."""
    told = hashlib.sha256()
    with world.database.read() as connection:
        for table in metadata.sorted_tables:
            rows = connection.execute(select(table)).all()
            told.update(repr((table.name, sorted(map(repr, rows)))).encode())
    return told.hexdigest()


def test_opening_a_link_changes_nothing(everything_mailed: World) -> None:
    world = everything_mailed
    before = digest(world)
    for path in [world.link(kind) for kind in "wcr"]:
        for method in ("GET", "HEAD", "OPTIONS"):
            for query in ("", "?confirm=1", "?List-Unsubscribe=One-Click"):
                for agent in SCANNERS:
                    answer = world.client.open(path + query, method=method, headers={"User-Agent": agent})
                    assert answer.status_code == 200
                    assert "Set-Cookie" not in answer.headers
    assert digest(world) == before


BODIES_THAT_DO_NOT_ACT = (
    ("", "application/x-www-form-urlencoded"),
    ("confirm=", "application/x-www-form-urlencoded"),
    ("confirm=0", "application/x-www-form-urlencoded"),
    ("confirm=true", "application/x-www-form-urlencoded"),
    ("Confirm=1", "application/x-www-form-urlencoded"),
    ("list-unsubscribe=One-Click", "application/x-www-form-urlencoded"),
    ("List-Unsubscribe=one-click", "application/x-www-form-urlencoded"),
    ('{"confirm":"1"}', "application/json"),
    ("confirm=1", "text/plain"),
    ("confirm=1", ""),
    (PART.replace("One-Click", "Maybe"), MULTIPART),
    ("confirm=1", "multipart/form-data"),
)


def test_a_post_that_says_nothing_is_400_and_changes_nothing(everything_mailed: World) -> None:
    world = everything_mailed
    before = digest(world)
    for path in [world.link(kind) for kind in "wcr"]:
        for body, content_type in BODIES_THAT_DO_NOT_ACT:
            answer = world.client.post(path, data=body, content_type=content_type)
            assert (answer.status_code, answer.get_json()["error"]["reason"]) == (400, "nothing_confirmed")
    assert digest(world) == before


@pytest.mark.parametrize("kind", ["c", "r"])
def test_the_words_of_a_withdrawal_never_confirm_anything(mailed: World, kind: str) -> None:
    mail_request(mailed)
    before = digest(mailed)
    answer = mailed.client.post(mailed.link(kind), data=ONE_CLICK)
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (400, "nothing_confirmed")
    assert digest(mailed) == before


@pytest.mark.parametrize(
    ("body", "content_type", "method"),
    [
        ("List-Unsubscribe=One-Click", "application/x-www-form-urlencoded", "one_click"),
        (PART, MULTIPART, "one_click"),  # RFC 8058, 3.2: either encoding
        ("confirm=1", "application/x-www-form-urlencoded", "web_form"),
    ],
)
def test_a_withdrawal_acts_at_once_and_once(mailed: World, body: str, content_type: str, method: str) -> None:
    path = mailed.link("w")
    assert mailed.check(ADDRESS)["allowed"] is True
    for _ in range(3):
        answer = mailed.client.post(path, data=body, content_type=content_type)
        assert_page(answer, "Samtykket er trukket tilbake")
        assert mailed.check(ADDRESS)["reason"] == "withdrawal_pending"
    mailed.record()
    withdrawn = [leaf for leaf in mailed.leaves() if leaf["kind"] == "consent.withdrawn"]
    assert sorted(leaf["purpose"] for leaf in withdrawn) == sorted(mailed.policy.purposes)
    assert {(leaf["source"], leaf["method"]) for leaf in withdrawn} == {("link", method)}
    before = mailed.leaves()
    mailed.client.post(path, data=body, content_type=content_type)
    mailed.record()
    assert mailed.leaves() == before


def test_a_withdrawal_after_a_new_consent_counts_again(mailed: World) -> None:
    path = mailed.link("w")
    mailed.confirm()
    mailed.record()
    mailed.client.post(path, data=ONE_CLICK)
    mailed.record()
    assert mailed.check(ADDRESS, "offers")["reason"] == "withdrawn"


def test_a_confirmation_grants_once_and_then_its_link_says_that_it_is_used(everything_mailed: World) -> None:
    mailed = everything_mailed
    path = mailed.link("c")
    assert_page(mailed.client.get(path), "Bekreft samtykket", "Tilbudsmail")
    for _ in range(2):
        assert_page(mailed.client.post(path, data=BY_HAND), "Takk, det er bekreftet")
    mailed.record()
    assert mailed.kinds().count(("consent.given", "offers")) == 1
    before = mailed.leaves()
    assert_page(mailed.client.get(path), "Denne lenken er brukt")
    assert_page(mailed.client.post(path, data=BY_HAND), "Denne lenken er brukt")
    mailed.record()
    assert mailed.leaves() == before


def test_a_confirmation_that_came_too_late_does_not_thank(world: World) -> None:
    """After the days of the policy an unconfirmed request is shredded, and its link with it."""
    world.post_signed("newsletter", {"email": ADDRESS, "newsletter": "yes"})
    world.record()
    world.carry()
    path = world.link("c")
    days = world.policy.retention.unconfirmed_request_days + 1
    assert retention.expire(world.database, world.policy, now_ms() + days * 24 * 3600 * 1000) == (1, 0)
    assert_page(world.client.get(path), "Denne lenken er brukt")
    assert_page(world.client.post(path, data=BY_HAND), "Denne lenken er brukt")
    assert world.record() == 0


def test_a_request_is_confirmed_once_and_its_page_says_what_and_by_when(everything_mailed: World) -> None:
    world, asked = everything_mailed, "Innsyn: få vite hva vi har lagret om deg"
    path = world.link("r")
    assert_page(world.client.get(path), "Bekreft forespørselen", asked)
    for _ in range(2):
        assert_page(world.client.post(path, data=BY_HAND), "Takk, forespørselen er bekreftet", "innen én måned", asked)
    world.record()
    assert world.kinds().count(("request.confirmed", None)) == 1
    with world.database.read() as connection:
        assert connection.execute(select(rights_request.c.status)).scalars().all() == ["confirmed"]
    before = world.leaves()
    assert_page(world.client.get(path), "Denne lenken er brukt")
    assert_page(world.client.post(path, data=BY_HAND), "Denne lenken er brukt")
    world.record()
    assert world.leaves() == before
    assert world.check(ADDRESS)["allowed"] is True, "a request is no withdrawal"


def test_a_link_that_is_too_old_says_so_before_anybody_has_cleared_it_away(everything_mailed: World) -> None:
    world = everything_mailed
    days = world.policy.retention.unconfirmed_request_days
    with world.database.write() as connection:
        old_ms = now_ms() - days * 24 * 3600 * 1000 - 1
        connection.execute(update(link).where(link.c.kind != "withdraw").values(created_at_ms=old_ms))
    before = digest(world)
    for path in (world.link("c"), world.link("r")):
        assert_page(world.client.get(path), "Denne lenken er brukt")
        assert_page(world.client.post(path, data=BY_HAND), "Denne lenken er brukt")
    assert digest(world) == before


def test_a_mail_that_asks_can_be_withdrawn_by_before_and_after_it_is_answered(everything_mailed: World) -> None:
    """The mail of a sign-up that was confirmed since, of one that was not, and of a request: by header and by text."""
    world = everything_mailed
    asking = [mail for mail in world.mails() if mail.get_content_type() == "text/plain"]
    assert len(asking) == 3
    for mail in asking:
        path = str(mail["List-Unsubscribe"]).removeprefix("<http://samtykke.example.org").removesuffix(">")
        assert f"http://samtykke.example.org{path}" in body_of(mail).splitlines()
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert_page(world.client.get(path), "Trekk tilbake samtykket")
    states = [world.check(ADDRESS, purpose)["reason"] for purpose in ("newsletter", "offers")]
    assert states == ["given", "requested"]
    question = world.link("c")
    assert_page(world.client.post(path, data=ONE_CLICK), "Samtykket er trukket tilbake")
    world.record()
    assert_page(world.client.post(question, data=BY_HAND), "Denne lenken er brukt")
    world.record()
    states = [world.check(ADDRESS, purpose)["reason"] for purpose in ("newsletter", "offers")]
    assert states == ["withdrawn", "withdrawn"]


def test_a_link_of_one_kind_does_nothing_as_another(everything_mailed: World) -> None:
    world = everything_mailed
    tokens = {kind: world.link(kind).removeprefix(f"/{kind}/") for kind in "wcr"}
    before = digest(world)
    for kind, token in tokens.items():
        for other in tokens.keys() - {kind}:
            body = ONE_CLICK if other == "w" else BY_HAND
            assert world.client.post(f"/{other}/{token}", data=body).status_code == 200
    assert digest(world) == before


def test_the_link_of_an_erased_person_answers_as_ever(everything_mailed: World) -> None:
    """Nobody can tell from the answer to a withdrawal whether the person was ever here; nothing else acts any more."""
    mailed = everything_mailed
    path, known = mailed.link("w"), mailed.client.get(mailed.link("w"))
    questions = (mailed.link("c"), mailed.link("r"))
    with mailed.database.write() as connection:
        for table in (vault, link, subject_address, subject):
            connection.execute(delete(table))
    assert mailed.client.get(path).data == known.data
    assert_page(mailed.client.post(path, data=ONE_CLICK), "Samtykket er trukket tilbake")
    for question in questions:
        assert_page(mailed.client.get(question), "Denne lenken er brukt")
        assert_page(mailed.client.post(question, data=BY_HAND), "Denne lenken er brukt")
    with mailed.database.read() as connection:
        assert connection.execute(select(inbox.c.id).where(inbox.c.status == "new")).all() == []


def test_a_token_that_we_never_made_is_404_with_and_without_a_body(mailed: World) -> None:
    ours = load_keyring("web", mailed.settings.keys_dir)["token_mac"].versions
    made_up = format_token(key_id=next(iter(ours)), link_id=bytes(16), mac_key=secrets.token_bytes(32))
    changed = "".join(reversed(mailed.link("w").removeprefix("/w/")))
    for token in (made_up, changed, "x", "A" * 500):
        for kind in "wcr":
            for answer in (mailed.client.get(f"/{kind}/{token}"), mailed.client.post(f"/{kind}/{token}", data=BY_HAND)):
                assert (answer.status_code, answer.get_json()["error"]["reason"]) == (404, "link_unknown")
