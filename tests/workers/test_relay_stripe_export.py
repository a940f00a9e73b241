"""What a person gets of what Stripe holds: all of it that is theirs, cards masked, nothing of anybody else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulators.process import SimulatorProcess
from tests.workers.stripe_scene import Scene, staged
from workers.relays import EXPORTERS
from workers.relays.action import RelayError

KARI = {"id": "cus_kari", "email": "Kari@Example.no", "name": "Kari Nordmann", "metadata": {"source": "web"}}
OLA = {"id": "cus_ola", "email": "ola@example.no", "name": "Ola Hansen"}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("stripe", tmp_path_factory.mktemp("stripe")) as started:
        yield started


@pytest.fixture
def scene(process: SimulatorProcess, request: pytest.FixtureRequest) -> Iterator[Scene]:
    own = [{"customer": "cus_kari"}, {"customer": "cus_ola"}]
    with staged(process, request.node.name, [KARI, OLA]) as made:
        process.seed(dict.fromkeys(("payment_methods", "tax_ids", "invoices", "payment_intents"), own))
        process.seed(
            {
                "charges": [{"id": f"ch_{at}", "customer": "cus_kari", "amount_refunded": at % 2} for at in range(25)]
                + [{"id": "ch_ola", "customer": "cus_ola"}, {"id": "ch_g", "customer": None, "payment_intent": "pi_g"}],
                "refunds": [{"id": "re_1", "charge": "ch_1"}, {"id": "re_ola", "charge": "ch_ola"}],
                "subscriptions": [{"customer": "cus_kari", "status": "canceled"}],
                "guests": [
                    {"id": "cs_kari", "email": "kari@example.no", "customer": "cus_kari"},
                    {"id": "cs_g", "email": "kari@example.no", "payment_intent": "pi_g"},
                    {"id": "cs_ola", "email": "ola@example.no"},
                ],
            }
        )
        yield made


def exported(scene: Scene) -> dict[str, Any]:
    return dict(EXPORTERS["stripe"](scene.action, scene.connection))


def test_it_holds_all_that_hangs_on_the_customer_and_what_was_bought_as_a_guest(scene: Scene) -> None:
    document = exported(scene)
    (customer,) = document["customers"]
    assert (customer["id"], customer["name"], customer["metadata"]) == ("cus_kari", "Kari Nordmann", {"source": "web"})
    lists = {name: len(value) for name, value in customer.items() if isinstance(value, list)}
    once = (
        "payment_methods",
        "tax_ids",
        "subscriptions",
        "invoices",
        "payment_intents",
        "checkout_sessions",
        "refunds",
    )
    assert lists == {**dict.fromkeys(once, 1), "charges": 25}
    (guest,) = document["guest_checkouts"]
    assert (guest["id"], [each["id"] for each in guest["charges"]]) == ("cs_g", ["ch_g"])


def test_a_card_is_its_brand_and_last_digits_and_nothing_internal_is_passed_on(scene: Scene) -> None:
    document = exported(scene)
    customer = document["customers"][0]
    assert customer["payment_methods"][0]["card"] == {"brand": "visa", "last4": "4242"}
    assert customer["charges"][0]["payment_method_details"] == {
        "type": "card",
        "card": {"brand": "visa", "last4": "4242"},
    }
    text = json.dumps(document)
    for internal in ("Xt5EWLLDS7FJjR1c", "exp_month", "risk_level", "secret"):
        assert internal not in text


def test_nobody_elses_data_is_in_it(scene: Scene) -> None:
    assert "ola" not in json.dumps(exported(scene)).lower()


def test_a_list_that_overlooks_the_filter_gives_nothing_of_others(scene: Scene) -> None:
    others = {"object": "list", "url": "/v1/invoices", "has_more": False}
    of_ola = {"id": "in_ola", "object": "invoice", "customer": "cus_ola", "customer_email": "ola@example.no"}
    scene.stripe.faults([{"path_prefix": "/v1/invoices", "body": {**others, "data": [of_ola]}}])
    assert exported(scene)["customers"][0]["invoices"] == []


def test_nobody_is_an_empty_document_and_nothing_is_written(scene: Scene) -> None:
    document = EXPORTERS["stripe"](scene.action, scene.connection)
    assert document["customers"]
    scene.stripe.seed({"customers": [OLA]})
    assert exported(scene) == {"customers": [], "guest_checkouts": []}
    assert {line["method"] for line in scene.lines()} == {"GET"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [({"status": 429}, "rate_limited"), ({"body": "<html>"}, "unexpected_answer"), ({"status": 403}, "forbidden")],
)
def test_half_an_export_is_none(scene: Scene, fault: dict[str, Any], reason: str) -> None:
    scene.stripe.faults([{"path_prefix": "/v1/refunds", **fault}])
    with pytest.raises(RelayError, match=reason):
        exported(scene)
