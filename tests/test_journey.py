"""The main job, end to end, on both databases: a sign-up, a withdrawal, and a ledger that verifies."""

import json

from tests.world import World, checkout_event


def test_a_sign_up_is_requested_confirmed_and_given(any_world: World) -> None:
    answer = any_world.post_signed("newsletter", {"email": "kari@example.no", "newsletter": "yes", "offers": "no"})
    assert (answer.status_code, answer.get_json()) == (200, {"status": "accepted"})
    assert any_world.record() == 1
    assert any_world.check("kari@example.no")["reason"] == "requested"
    any_world.carry()
    assert any_world.confirm().status_code == 200
    any_world.record()
    assert any_world.check("kari@example.no")["allowed"] is True
    assert any_world.check("kari@example.no", "offers")["reason"] == "refused"
    assert any_world.check("kari@example.no", "information")["reason"] == "never_asked"
    assert ("consent.given", "newsletter") in any_world.kinds()


def test_a_withdrawal_stops_before_it_is_recorded_and_a_late_grant_cannot_undo_it(any_world: World) -> None:
    any_world.give("kari@example.no")
    answer = any_world.client.post(any_world.link("w"), data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert any_world.check("kari@example.no")["reason"] == "withdrawal_pending"
    any_world.record()
    assert any_world.check("kari@example.no")["reason"] == "withdrawn"
    late = checkout_event("evt_late", created=1_700_000_000)
    assert any_world.post_stripe(late).status_code == 200
    any_world.record()
    any_world.carry()
    assert any_world.check("kari@example.no")["reason"] == "withdrawn"
    any_world.confirm()
    any_world.record()
    assert any_world.check("kari@example.no")["reason"] == "withdrawn"


def test_the_ledger_verifies_and_proves_each_entry(any_world: World) -> None:
    any_world.give("kari@example.no")
    any_world.sign()
    result = any_world.command("ledger", "verify", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["verified"], document["problems"]) == (0, True, [])
    for position in range(document["entries"]):
        assert any_world.command("ledger", "proof", str(position)).exit_code == 0


def test_a_receipt_verifies_and_one_changed_letter_does_not(any_world: World) -> None:
    any_world.give("kari@example.no")
    any_world.sign()
    any_world.carry()
    attachment = next(any_world.mails()[-1].iter_attachments())
    file = any_world.settings.data_dir / "receipt.json"
    receipt = attachment.get_content()
    text = receipt.decode() if isinstance(receipt, bytes) else str(receipt)
    file.write_text(text, encoding="utf-8")
    assert any_world.command("receipts", "verify", str(file)).exit_code == 0
    file.write_text(text.replace("newsletter", "newsletteR"), encoding="utf-8")
    assert any_world.command("receipts", "verify", str(file)).exit_code == 1
