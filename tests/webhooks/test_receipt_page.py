"""The receipt page: what is genuine is said to be, what is not is not, and nothing of either is kept."""

import io
import json

import pytest
from sqlalchemy import delete
from werkzeug.test import TestResponse

from ledger.errors import KeyringError
from ledger.tables import heartbeat
from tests.webhooks.pages import ADDRESS, BY_HAND, assert_page
from tests.webhooks.test_links import digest
from tests.world import World
from workers.__main__ import publish_keys

ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
def kari(any_world: World) -> World:
    """Kari has given her consent, and holds the receipt."""
    any_world.give(ADDRESS)
    any_world.sign()
    any_world.carry()
    any_world.carry()
    return any_world


def receipt_of(world: World) -> bytes:
    for mail in reversed(world.mails()):
        for part in mail.iter_attachments():
            if part.get_filename() == "receipt.json":
                content = part.get_content()
                return content if isinstance(content, bytes) else str(content).encode()
    raise AssertionError("no receipt was mailed")


def drop(world: World, receipt: bytes) -> TestResponse:
    data = {"file": (io.BytesIO(receipt), "receipt.json")}
    return world.client.post("/receipt", data=data, headers=ENGLISH, content_type="multipart/form-data")


def test_a_genuine_receipt_says_what_happened_and_that_it_is_in_force(kari: World) -> None:
    before = digest(kari)
    answer = drop(kari, receipt_of(kari))
    assert_page(answer, "The receipt is genuine", "You gave your consent (Newsletter)", "It is still in force")
    assert_page(answer, "in our ledger to this day")
    assert digest(kari) == before


def test_it_may_be_pasted(kari: World) -> None:
    answer = kari.client.post("/receipt", data={"text": receipt_of(kari).decode()}, headers=ENGLISH)
    assert_page(answer, "The receipt is genuine")


def test_it_says_when_it_is_not_in_force_any_more(kari: World) -> None:
    old = receipt_of(kari)
    kari.client.post(kari.link("w"), data=BY_HAND)
    assert_page(drop(kari, old), "It is not in force any more")  # accepted, and not yet recorded
    kari.record()
    assert_page(drop(kari, old), "The receipt is genuine", "It is not in force any more")
    kari.give(ADDRESS)  # a later yes is another one
    assert_page(drop(kari, old), "It is not in force any more")


def test_after_an_erasure_it_says_what_is_left_where(kari: World) -> None:
    assert kari.command("subjects", "erase", "--email", ADDRESS, "--yes").exit_code == 0
    kari.sign()
    kari.carry()
    answer = drop(kari, receipt_of(kari))
    assert_page(answer, "The receipt is genuine", "Everything about you was deleted", "What is left at others")
    assert_page(answer, "Google Workspace: Deleted mail that can be restored")


def test_a_changed_or_foreign_receipt_is_none_of_ours(kari: World) -> None:
    document = json.loads(receipt_of(kari))
    changed = document | {"dct:created": "2020-01-01T00:00:00.000Z"}
    assert_page(drop(kari, json.dumps(changed).encode()), "not a receipt of ours", "was changed after we signed it")
    for nothing in (b"{}", b"[]", b"hello", b"\xff\xfe", json.dumps(document | {"signature": "x"}).encode()):
        assert_page(drop(kari, nothing), "not a receipt of ours")


def test_before_anything_was_signed_nothing_is_ours(world: World) -> None:
    assert_page(drop(world, b"{}"), "not a receipt of ours")


def test_nothing_and_too_much_are_refused(world: World) -> None:
    empty = world.client.post("/receipt", data={}, headers=ENGLISH | {"Accept": "text/html"})
    assert (empty.status_code, "Choose the file" in empty.get_data(as_text=True)) == (400, True)
    assert drop(world, b" " * 495_000).status_code == 413


def test_the_page_needs_no_private_key(kari: World) -> None:
    door = kari.client.application.extensions["door"]
    for name in ("receipt", "checkpoint"):
        with pytest.raises(KeyringError):
            _ = door.keyring[name]


def test_a_process_that_signs_makes_its_public_keys_known_at_its_start(kari: World) -> None:
    """After an upgrade or a restore nothing may have been signed yet."""
    old = receipt_of(kari)
    with kari.database.write() as connection:
        connection.execute(delete(heartbeat))
    assert_page(drop(kari, old), "not a receipt of ours")
    for role in ("clock", "relay"):
        publish_keys(kari.context(role))
    assert_page(drop(kari, old), "The receipt is genuine")
