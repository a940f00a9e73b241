"""`flask receipts verify`: it says what a receipt proves, also to a stranger, and names whatever is wrong."""

import json
import re
from pathlib import Path

import pytest

from ledger.checkpoints import note_signer
from ledger.keyring import load_keyring
from tests.world import ORIGIN, ROOT, World

KARI = "kari@example.no"
RECEIPT_MODULES = ("receipt_facts", "receipt_verification")


@pytest.fixture
def receipt(world: World) -> Path:
    """What is attached to the mail about a grant."""
    world.give(KARI)
    world.sign()
    world.carry()
    (part,) = world.mails()[-1].iter_attachments()
    file = world.settings.data_dir / "receipt.json"
    file.write_bytes(part.get_content())
    return file


def vkeys(world: World) -> list[str]:
    keyring = load_keyring("operator", world.settings.keys_dir)
    pairs = [(f"--{name}-key", note_signer(keyring[name]).vkey()) for name in ("receipt", "checkpoint")]
    return [word for pair in pairs for word in pair]


def test_it_says_what_was_recorded_where_and_what_it_opens(world: World, receipt: Path) -> None:
    result = world.command("receipts", "verify", str(receipt))
    assert result.exit_code == 0
    assert re.search(rf"^ledger +{ORIGIN}$", result.stdout, re.MULTILINE)
    assert "these are among the first 3 entries of the ledger" in result.stdout
    assert re.search(r"consent\.given +newsletter +\S+ +2 +the consent was given", result.stdout)
    assert re.search(r"0 +email +is exactly what was told with it", result.stdout)
    assert KARI not in result.stdout


def test_it_says_the_same_to_programs(world: World, receipt: Path) -> None:
    document = json.loads(world.command("receipts", "verify", str(receipt), "--json").stdout)
    assert (document["verified"], document["ledger"]) == (True, ORIGIN)
    assert [entry["kind"] for entry in document["entries"]] == ["consent.requested", "consent.given"]


def test_a_stranger_with_two_public_keys_needs_nothing_else_of_ours(world: World, receipt: Path) -> None:
    keys = vkeys(world)
    for file in world.settings.keys_dir.iterdir():
        file.unlink()
    assert world.command("receipts", "verify", str(receipt), *keys).exit_code == 0
    assert world.command("receipts", "verify", str(receipt)).stderr.startswith("key_missing_")


def test_keys_may_be_several_as_in_a_rotation(world: World, receipt: Path) -> None:
    other = "other.example.org+9d5c7e0a+AbF0oJ7a2HxZ0gq1s6kH3bq0x8q2m5v0o0r3mA8Q1h5o"
    result = world.command("receipts", "verify", str(receipt), "--receipt-key", other)
    assert (result.exit_code, result.stderr) == (1, "vkey_key_id_wrong\n")
    stranger = "--receipt-key", vkeys(world)[3], "--receipt-key", vkeys(world)[1]
    assert world.command("receipts", "verify", str(receipt), *stranger).exit_code == 0


def test_a_changed_receipt_is_named(world: World, receipt: Path) -> None:
    receipt.write_text(receipt.read_text(encoding="utf-8").replace("newsletter", "profiling"), encoding="utf-8")
    result = world.command("receipts", "verify", str(receipt))
    assert (result.exit_code, result.stderr) == (1, "receipt_changed\n")


def test_every_reason_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "receipts.md").read_text(encoding="utf-8")
    sources = "\n".join((ROOT / "ledger" / f"{name}.py").read_text(encoding="utf-8") for name in RECEIPT_MODULES)
    reasons = set(re.findall(r'"([a-z]+(?:_[a-z]+)*_(?:differs?|changed|unknown|large|malformed|order))"', sources))
    assert len(reasons) > 12
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()
