"""Requests to Stripe keep what its description and its SDK say: a parameter that is misspelt on purpose is caught."""

from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest

from tests.simulators.process import SimulatorProcess
from tests.simulators.stripe_contract import TODAY, YOUNGER, StripeContract, parts
from tests.simulators.stripe_preview import PATHS
from tests.simulators.stripe_schema import ContractViolation
from tests.workers.stripe_scene import LOOPBACK
from workers.outgoing import OutgoingSession
from workers.relays import RELAYS
from workers.relays.action import RelayAction, RelayError, RelayWait
from workers.relays.stripe import StripeConnection, erasure, redaction, subscriptions

REFERENCE = "5a3c" * 8
# Each as the relay sends it, and the same with one letter wrong.
SENT = [
    ("GET", "/v1/customers", "email=a@example.no&limit=10", "emial=a@example.no"),
    ("GET", "/v1/customers/search", 'query=email:"a"&limit=10', "qeury=a"),
    ("POST", "/v1/customers/{customer}", "metadata[consent_newsletter]=given", "metdata[consent_newsletter]=given"),
    ("POST", "/v1/customers/{customer}", "email=&name=&phone=&description=&address=&shipping=", "shiping="),
    ("POST", "/v1/customers/{customer}", "business_name=A&individual_name=B", "bussiness_name=A"),
    ("POST", "/v1/customers/{customer}", "address[country]=NO", "address[contry]=NO"),
    ("GET", "/v1/customers/{customer}/payment_methods", "limit=10&starting_after=pm_1", "starting_afer=pm_1"),
    ("GET", "/v1/customers/{customer}/tax_ids", "limit=10", "limt=10"),
    ("POST", "/v1/payment_methods/{payment_method}/detach", "", "customer=cus_1"),
    ("GET", "/v1/subscriptions", "customer=cus_1&status=all", "customer=cus_1&status=al"),
    (
        "POST",
        "/v1/subscriptions/{subscription_exposed_id}",
        "pause_collection[behavior]=keep_as_draft&metadata[a]=b",
        "pause_collection[behaviour]=keep_as_draft",
    ),
    ("POST", "/v1/subscriptions/{subscription_exposed_id}", "pause_collection=", "pause_colection="),
    ("GET", "/v1/invoices", "customer=cus_1&limit=10", "custmer=cus_1"),
    ("GET", "/v1/charges", "payment_intent=pi_1", "payment_intnet=pi_1"),
    ("GET", "/v1/payment_intents", "customer=cus_1", "customers=cus_1"),
    ("GET", "/v1/refunds", "charge=ch_1", "chagre=ch_1"),
    ("GET", "/v1/disputes", "charge=ch_1", "chagre=ch_1"),
    ("GET", "/v1/checkout/sessions", "customer_details[email]=a@example.no", "customer_details[emial]=a@example.no"),
    ("GET", "/v1/privacy/redaction_jobs", "limit=100&expand[0]=data.objects", "limit=100&expend[0]=data.objects"),
    (
        "POST",
        "/v1/privacy/redaction_jobs",
        "objects[customers][0]=cus_1&validation_behavior=fix",
        "objects[custmers][0]=cus_1",
    ),
    ("POST", "/v1/privacy/redaction_jobs", "objects[charges][0]=ch_1", "validation_behavior=fix"),
    ("POST", "/v1/privacy/redaction_jobs/{job}/run", "", "jobb=prj_1"),
]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("stripe", tmp_path_factory.mktemp("stripe")) as started:
        yield started


def filled(template: str) -> list[str]:
    return ["x_1" if name.startswith("{") else name for name in parts(template)]


@pytest.mark.parametrize(("method", "template", "right", "wrong"), SENT)
def test_what_the_relay_sends_is_allowed_and_a_slip_is_not(method: str, template: str, right: str, wrong: str) -> None:
    contract = StripeContract()
    assert contract.check(method, filled(template), parse_qsl(right, keep_blank_values=True)).template == template
    with pytest.raises(ContractViolation):
        contract.check(method, filled(template), parse_qsl(wrong, keep_blank_values=True))


def test_every_operation_that_the_relay_uses_has_a_witness_of_today_or_is_a_preview() -> None:
    for method, template, *_ in SENT:
        assert (method, template) in TODAY or method.lower() in PATHS[template]


def test_what_only_the_sdk_knows_is_named_and_nothing_else_is() -> None:
    contract = StripeContract()
    for (method, template), names in YOUNGER.items():
        described, _ = contract._expected(method, template)
        assert names <= set(TODAY[method, template].__annotations__)
        assert not names & set(described)  # else it is not younger any more


def test_a_name_that_the_sdk_knows_and_the_list_does_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    place = ("POST", "/v1/customers/{customer}")
    StripeContract().check(place[0], filled(place[1]), [("business_name", "A")])
    monkeypatch.delitem(YOUNGER, place)
    with pytest.raises(ContractViolation, match="unknown parameter: business_name"):
        StripeContract().check(place[0], filled(place[1]), [("business_name", "A")])


def test_a_name_that_the_sdk_no_longer_has_is_refused_though_it_is_described() -> None:
    contract = StripeContract()
    described, _ = contract._expected("POST", "/v1/customers/{customer}")
    gone = set(described) - set(TODAY["POST", "/v1/customers/{customer}"].__annotations__) - {"expand"}
    assert "coupon" in gone
    with pytest.raises(ContractViolation, match="unknown parameter: coupon"):
        contract.check("POST", filled("/v1/customers/{customer}"), [("coupon", "c_1")])


@pytest.mark.parametrize(
    ("module", "name", "value", "action", "complaint"),
    [
        (erasure, "BLANKED", ("email", "bussiness_name"), "erase", "unknown parameter: bussiness_name"),
        (redaction, "KINDS", {"cus": "custmers"}, "erase", "unknown parameter: objects[custmers]"),
        (subscriptions, "PAUSE", {"behavior": "keep_as_draft", "resume": 1}, "restrict", "pause_collection[resume]"),
    ],
)
def test_a_slip_in_the_relay_itself_fails_its_tests(
    process: SimulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    name: str,
    value: object,
    action: str,
    complaint: str,
) -> None:
    kari = {"id": "cus_kari", "email": "kari@example.no", "bussiness_name": "A"}
    process.seed({"customers": [kari], "subscriptions": [{"id": "sub_1", "customer": "cus_kari"}][: action != "erase"]})
    monkeypatch.setattr(module, name, value)
    session = OutgoingSession(LOOPBACK, allow_loopback=True)
    connection = StripeConnection("rk_test_simulated", process.url, session, redaction=True, pause_restricted=True)
    emails, notes = ("kari@example.no",), dict[str, object]()
    for _ in range(4):
        action_now = RelayAction(REFERENCE, emails if "erased" not in notes else (), ("offers",), 0, 1, notes=notes)
        try:
            RELAYS["stripe"][action](action_now, connection)
        except RelayWait as wait:
            notes = dict(wait.notes)
        except RelayError as error:
            assert (error.reason, error.permanent) == ("rejected", True)
            break
    assert complaint in process.violations()[-1]
