"""The simulators bite: they are called here with the vendors' own clients, as the relays will call them."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe
from google.auth.exceptions import RefreshError

from tests.simulators.clients import call_wordpress, google_session, stripe_client
from tests.simulators.process import SimulatorError, SimulatorProcess
from tests.simulators.stripe_contract import StripeContract

TIMEOUT_S = 10


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("stripe", tmp_path_factory.mktemp("stripe")) as process:
        yield process


@pytest.fixture
def client(vendor: SimulatorProcess) -> Iterator[stripe.StripeClient]:
    with requests.Session() as session:
        yield stripe_client(vendor, session)
    vendor.clear()


@pytest.fixture
def kari(vendor: SimulatorProcess) -> str:
    seeded = vendor.seed(
        {
            "customers": [{"email": "Kari@example.no", "name": "Kari Nordmann", "metadata": {"kept": "yes"}}],
            "guests": [{"email": "ola@example.no"}],
        }
    )
    return str(next(iter(seeded["customers"])))


def test_it_refuses_a_misspelt_parameter_and_journals_the_violation(
    vendor: SimulatorProcess, client: stripe.StripeClient, kari: str
) -> None:
    misspelt: Any = {"emial": "kari@example.no"}
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter: emial") as refused:
        client.v1.customers.update(kari, misspelt)
    assert refused.value.http_status == 400
    assert vendor.journal()[-1]["violation"] == "unknown parameter: emial"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/customers/cus_1", "shipping[adress]=x&shipping[name]=y"),
        ("/v1/customers/cus_1", "tax_exempt=perhaps"),
        ("/v1/customers/cus_1", "metadata[a]=1&metadata[a]=2"),
        ("/v1/customers/", "email=kari@example.no"),
        ("/v1/customer/cus_1", "email=kari@example.no"),
    ],
)
def test_it_refuses_what_the_description_does_not_know(vendor: SimulatorProcess, path: str, body: str) -> None:
    headers = {"Authorization": "Bearer sk_test_1", "Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(vendor.url + path, data=body, headers=headers, timeout=TIMEOUT_S)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "contract_violation")


def test_metadata_is_merged_and_an_empty_value_unsets_a_key(client: stripe.StripeClient, kari: str) -> None:
    added = client.v1.customers.update(kari, {"metadata": {"consent_newsletter": "withdrawn"}}).to_dict()
    assert added["metadata"] == {"kept": "yes", "consent_newsletter": "withdrawn"}
    unset = client.v1.customers.update(kari, {"metadata": {"kept": ""}}).to_dict()
    assert unset["metadata"] == {"consent_newsletter": "withdrawn"}


def test_customers_are_found_by_the_exact_spelling_only(client: stripe.StripeClient, kari: str) -> None:
    assert [each.id for each in client.v1.customers.list({"email": "Kari@example.no"}).data] == [kari]
    assert client.v1.customers.list({"email": "kari@example.no"}).data == []


def test_a_key_replays_the_first_answer_and_does_the_deed_once(
    vendor: SimulatorProcess, client: stripe.StripeClient, kari: str
) -> None:
    for _ in range(2):
        client.v1.customers.update(kari, {"metadata": {"a": "1"}}, {"idempotency_key": "relay:1:update:1"})
    first, second = vendor.journal()[-2:]
    assert (first["effect"], second["effect"], second["replayed"]) == ("customer.updated", None, True)
    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.update(kari, {"metadata": {"a": "2"}}, {"idempotency_key": "relay:1:update:1"})


def test_a_saved_500_is_replayed_until_the_key_changes(
    vendor: SimulatorProcess, client: stripe.StripeClient, kari: str
) -> None:
    vendor.faults([{"method": "POST", "path_prefix": "/v1/customers", "status": 500}])
    for replayed in (False, True):
        with pytest.raises(stripe.APIError):
            client.v1.customers.update(kari, {"metadata": {"b": "1"}}, {"idempotency_key": "relay:2:update:1"})
        assert vendor.journal()[-1]["replayed"] is replayed
    client.v1.customers.update(kari, {"metadata": {"b": "1"}}, {"idempotency_key": "relay:2:update:2"})
    assert vendor.state()["customers"][kari]["metadata"]["b"] == "1"


def test_a_deed_done_behind_a_503_is_not_done_again_with_the_same_key(
    vendor: SimulatorProcess, client: stripe.StripeClient, kari: str
) -> None:
    vendor.faults([{"method": "POST", "path_prefix": "/v1/", "status": 503, "after_effect": True}])
    with pytest.raises(stripe.APIError):
        client.v1.customers.update(kari, {"name": "Kari"}, {"idempotency_key": "relay:3:update:1"})
    again = client.v1.customers.update(kari, {"name": "Kari"}, {"idempotency_key": "relay:3:update:1"})
    first, second = vendor.journal()[-2:]
    assert again.name == "Kari"
    assert (first["status"], first["effect"]) == (503, "customer.updated")
    assert (second["status"], second["effect"], second["replayed"]) == (200, None, True)


def test_a_deleted_customer_is_a_tombstone(client: stripe.StripeClient, kari: str) -> None:
    client.v1.customers.delete(kari)
    assert client.v1.customers.retrieve(kari).to_dict() == {"id": kari, "object": "customer", "deleted": True}
    for deed in (client.v1.customers.update, client.v1.customers.delete):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            deed(kari)
        assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_its_answers_keep_to_the_description(client: stripe.StripeClient, kari: str) -> None:
    contract = StripeContract()
    updated = client.v1.customers.update(kari, {"name": "Kari N."})
    sessions = client.v1.checkout.sessions.list({"customer_details": {"email": "ola@example.no"}})
    events = client.v1.events.list({"types": ["customer.updated"], "limit": 1})
    contract.check_answer("POST", "/v1/customers/{customer}", updated.to_dict())
    contract.check_answer("GET", "/v1/checkout/sessions", sessions.to_dict())
    contract.check_answer("GET", "/v1/events", events.to_dict())
    assert [len(sessions.data), len(events.data)] == [1, 1]


def test_a_page_ends_where_the_next_begins(vendor: SimulatorProcess, client: stripe.StripeClient) -> None:
    vendor.seed({"customers": [{"email": f"person{number}@example.no"} for number in range(5)]})
    pages = client.v1.customers.list({"limit": 2})
    emails = [each.email for each in pages.auto_paging_iter()]
    assert emails == [f"person{number}@example.no" for number in (4, 3, 2, 1, 0)]


@pytest.fixture(scope="module")
def google_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("google", tmp_path_factory.mktemp("google")) as process:
        yield process


@pytest.fixture
def google(google_process: SimulatorProcess) -> SimulatorProcess:
    google_process.seed({"groups": {"newsletter@example.no": ["Kari@example.no"]}})
    return google_process


def members_url(google: SimulatorProcess, group: str = "newsletter%40example.no") -> str:
    return f"{google.url}/admin/directory/v1/groups/{group}/members"


def test_a_member_leaves_once_and_is_told_from_a_missing_group(google: SimulatorProcess) -> None:
    with google_session(google) as session:
        kari = members_url(google) + "/kari%40example.no"
        assert session.get(kari, timeout=TIMEOUT_S).json()["email"] == "Kari@example.no"
        assert session.delete(kari, timeout=TIMEOUT_S).status_code == 204
        absent = session.delete(kari, timeout=TIMEOUT_S)
        lost = session.delete(members_url(google, "lost%40example.no") + "/kari%40example.no", timeout=TIMEOUT_S)
    assert (absent.status_code, absent.json()["error"]["message"]) == (404, "Resource Not Found: memberKey")
    assert (lost.status_code, lost.json()["error"]["message"]) == (404, "Resource Not Found: groupKey")
    assert google.state()["groups"] == {"newsletter@example.no": []}
    assert google.journal()[-1]["violation"] is None


def test_a_member_joins_once_and_only_by_the_names_of_the_discovery_document(google: SimulatorProcess) -> None:
    bodies = [{"email": "ola@example.no"}, {"email": "OLA@example.no"}, {"emial": "eva@example.no"}]
    with google_session(google) as session:
        answers = [session.post(members_url(google), json=body, timeout=TIMEOUT_S) for body in bodies]
    assert [each.status_code for each in answers] == [200, 409, 400]
    assert answers[1].json()["error"]["errors"][0]["reason"] == "duplicate"
    assert google.violations()[-1] == "unknown field: emial"


def test_a_scope_that_was_not_granted_gives_no_token(google: SimulatorProcess) -> None:
    with google_session(google, "https://mail.google.com/") as session, pytest.raises(RefreshError) as refused:
        session.get(members_url(google) + "/kari%40example.no", timeout=TIMEOUT_S)
    assert (refused.value.args[1]["error"], refused.value.retryable) == ("unauthorized_client", False)


@pytest.fixture(scope="module")
def wordpress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("wordpress", tmp_path_factory.mktemp("wordpress")) as process:
        yield process


@pytest.fixture
def subscribed(wordpress: SimulatorProcess) -> Iterator[SimulatorProcess]:
    wordpress.seed(
        {"plugin": True, "subscribers": [{"email": "kari@example.no", "purposes": ["newsletter", "offers"]}]}
    )
    yield wordpress
    wordpress.clear()


def test_a_withdrawal_is_done_and_can_be_read_back(subscribed: SimulatorProcess) -> None:
    answer = call_wordpress(subscribed, "withdraw", "msg_1")
    assert answer.json() == {"outcome": "removed", "reason": None, "adapters": {"mailpoet": "removed"}}
    read_back = call_wordpress(subscribed, "status", "msg_2")
    assert read_back.json() == {"purposes": {"newsletter": "unsubscribed"}}


def test_a_signature_counts_once_and_for_one_route(subscribed: SimulatorProcess) -> None:
    assert call_wordpress(subscribed, "status", "msg_3").status_code == 200
    assert call_wordpress(subscribed, "status", "msg_3").json()["code"] == "samtykke_replayed"
    crossed = call_wordpress(subscribed, "withdraw", "msg_4", signed_route="status")
    assert (crossed.status_code, crossed.json()["code"]) == (401, "samtykke_bad_signature")


def test_a_site_without_the_plugin_has_no_route(subscribed: SimulatorProcess) -> None:
    subscribed.seed({"plugin": False})
    answer = call_wordpress(subscribed, "withdraw", "msg_5")
    assert (answer.status_code, answer.json()["code"]) == (404, "rest_no_route")


def test_a_hanging_request_is_let_go_unanswered(subscribed: SimulatorProcess) -> None:
    subscribed.faults([{"method": "POST", "hang": True, "after_effect": True}])
    with pytest.raises(requests.Timeout):
        call_wordpress(subscribed, "withdraw", "msg_6", timeout_s=0.5)
    line = subscribed.journal()[-1]
    assert (line["status"], line["effect"], line["fault"]) == (None, "withdraw", "hang")


def test_a_misspelt_fault_or_seed_is_refused(subscribed: SimulatorProcess) -> None:
    with pytest.raises(SimulatorError, match="pathprefix"):
        subscribed.faults([{"pathprefix": "/"}])
    with pytest.raises(SimulatorError, match="subscriber"):
        subscribed.seed({"subscriber": []})


def test_it_leaves_at_once_when_asked_and_comes_back_with_its_state(tmp_path: Path) -> None:
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    with SimulatorProcess("wordpress", tmp_path, secret=secret) as process:
        process.seed({"adapters": []})
        port = process.port
        process.faults([{"hang": True}])
        with pytest.raises(requests.Timeout):
            call_wordpress(process, "status", "msg_8", timeout_s=0.2)
        assert process.stop() == 0
        process.start()
        assert (process.port, process.state()["adapters"]) == (port, [])
