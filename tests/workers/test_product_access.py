"""From a paid checkout at the door to a relay and back, with the product that policy.toml shows as an example."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.desk import KARI, Desk
from tests.world import ROOT, World, checkout_event, settings_for


@pytest.fixture
def world(tmp_path: Path, database_url: str | None) -> Any:
    shipped = (ROOT / "policy.toml").read_text(encoding="utf-8")
    example = re.search(r"^#\[products\.course\]\n(?:#\w.*\n)+", shipped, re.MULTILINE)
    assert example is not None
    sold = shipped.replace(example[0], re.sub("^#", "", example[0], flags=re.MULTILINE))
    policy_file = tmp_path / "policy.toml"
    policy_file.write_text(sold, encoding="utf-8")
    made = World(settings_for(tmp_path, database_url, policy_file=policy_file))
    yield made
    made.close()


def refund(event_id: str) -> dict[str, Any]:
    charge = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "refunded": True, "receipt_email": KARI}
    return checkout_event(event_id, type="charge.refunded") | {"data": {"object": charge}}


def test_a_payment_gives_access_and_its_refund_takes_it_back(world: World) -> None:
    desk = Desk(world)
    session = {"payment_link": "plink_1234567890", "payment_intent": "pi_1", "custom_fields": []}
    for event_id in ("evt_1", "evt_1", "evt_2"):  # delivered twice, and told in two events
        assert world.post_stripe(checkout_event(event_id, KARI, session=session)).status_code == 200
    world.record()
    assert [(row.processor, row.action, row.product) for row in desk.relays()] == [
        ("wordpress", "grant_access", "course")
    ]
    assert world.check(KARI)["reason"] == "never_asked", "a purchase is no consent"
    assert world.post_stripe(refund("evt_3"), at_s=int(time.time())).status_code == 200
    world.record()
    assert [row.action for row in desk.relays()] == ["grant_access", "revoke_access"]
    kinds = [kind for kind, _ in world.kinds()]
    assert kinds.count("access.granted") == kinds.count("access.revoked") == 1
    assert desk.problems() == []


def test_a_payment_by_nobody_that_we_can_name_becomes_a_task(world: World) -> None:
    session = {
        "payment_link": "plink_1234567890",
        "payment_intent": "pi_1",
        "custom_fields": [],
        "customer_details": None,
    }
    assert world.post_stripe(checkout_event(session=session)).status_code == 200
    world.record()
    assert world.statuses() == [("recorded", None)]
    listed = world.command("relays", "list", "--status", "parked", "--json").stdout
    assert '"no_address"' in listed
    assert '"grant_access"' in listed
