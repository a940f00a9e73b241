"""Every hostile body on every route that takes one, well signed, on both databases: the same clear answer on both.

A fault of ours, an echo, a difference between the databases, or a body that costs more than a body may fails here.
"""

import base64
import hmac
import itertools
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from schemas.api_keys import SCOPES, ApiKey
from schemas.dialects import DIALECTS
from schemas.token import format_token
from tests.postgres import PostgresServer
from tests.simulators.google_push import ACCOUNT, AUDIENCE, SUBSCRIPTION, PushSigner, push_body
from tests.simulators.process import SimulatorProcess
from tests.webhooks.hostile import CANARY, Hostile, bodies
from tests.webhooks.pages import mail_both_links
from tests.webhooks.plugins import SECRETS, plugin_world, policy_text
from tests.webhooks.signing import SCHEMES, hmac_of
from tests.world import FORM_SECRET, SIGNED_SECRET, STRIPE_SECRET, World

CPU_MAX_S = 0.2 * 3  # the promise, and the slack of a machine that tests
GROWTH_MAX_BYTES = 50 * 1024 * 1024
CF7 = "newsletter-contact-form-7"
BODIES = list(bodies())
SIGNER = PushSigner()
API_KEY = ApiKey("mailer", SCOPES, "k" * 43)
Pair = tuple[World, World]
Headers = Callable[[bytes], Mapping[str, str]]


def signed(raw: bytes) -> dict[str, str]:
    """Standard Webhooks over bytes that are no text, which its library cannot sign."""
    now_s = str(int(time.time()))
    key = base64.b64decode(SIGNED_SECRET.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"msg_{len(raw)}.{now_s}.".encode() + raw, "sha256")).decode()
    return {"webhook-id": f"msg_{len(raw)}", "webhook-timestamp": now_s, "webhook-signature": f"v1,{signature}"}


def signed_by_stripe(raw: bytes) -> dict[str, str]:
    now_s = int(time.time())
    return {"Stripe-Signature": f"t={now_s},v1={hmac_of(STRIPE_SECRET, b'%d.%s' % (now_s, raw)).hexdigest()}"}


def headers_of(form: str, dialect: str) -> Headers:
    """What authenticates a body for a form of this dialect."""
    scheme, secret = DIALECTS[dialect].scheme, SECRETS.get(form, FORM_SECRET)
    if scheme == "standard":
        return signed
    if scheme == "secret":
        return lambda raw: {"X-Gdpr-Token": secret}
    name = {"wpforms": "wpforms json", "woocommerce": "woocommerce", "wp_webhooks": "wp webhooks"}[scheme]
    return lambda raw: SCHEMES[name].sign(secret, int(time.time()), raw) | {"X-WC-Webhook-Topic": "order.created"}


def with_key(_raw: bytes) -> dict[str, str]:
    return {"Authorization": f"Bearer {API_KEY.secret}"}


def pushed(_raw: bytes) -> dict[str, str]:
    return {"Authorization": f"Bearer {SIGNER.token()}"}


@dataclass(frozen=True)
class Way:
    """A way in: the rule of its route, its path, and what gets a body past the proof of who sends it."""

    rule: str
    path: Callable[[World], str]
    headers: Headers = lambda raw: {}


def ways() -> dict[str, Way]:
    """Every route that takes a body; for the forms, one of each dialect."""
    by_dialect: dict[str, str] = {}
    for form, dialect in re.findall(r'(?m)^\[forms\.([a-z0-9-]+)\]\ndialect = "([a-z0-9_]+)"', policy_text()):
        by_dialect.setdefault(dialect, form)
    rule = "/webhooks/forms/<form_key>"
    found = {
        dialect: Way(rule, lambda _, form=form: f"/webhooks/forms/{form}", headers_of(form, dialect))
        for dialect, form in by_dialect.items()
    }
    return found | {
        "a secret in the path": Way(f"{rule}/<secret>", lambda _: f"/webhooks/forms/{CF7}/{FORM_SECRET}"),
        "stripe": Way("/webhooks/stripe", lambda _: "/webhooks/stripe", signed_by_stripe),
        "stripe, thin": Way("/webhooks/stripe/thin", lambda _: "/webhooks/stripe/thin", signed_by_stripe),
        "gmail": Way("/webhooks/gmail", lambda _: "/webhooks/gmail", pushed),
        "consents": Way("/consents/check", lambda _: "/consents/check", with_key),
        "proofs": Way("/ledger/proofs", lambda _: "/ledger/proofs"),
        "withdrawal": Way("/w/<token>", lambda world: world.link("w")),
        "confirmation": Way("/c/<token>", lambda world: world.link("c")),
        "preferences": Way("/p/<token>", lambda world: world.link("w").replace("/w/", "/p/")),
        "rights": Way("/rights", lambda _: "/rights"),
        "receipt": Way("/receipt", lambda _: "/receipt"),
        "request": Way("/r/<token>", lambda world: f"/r/{unknown_link(world)}"),
    }


WAYS = ways()


def unknown_link(world: World) -> str:
    """Ours, but of nobody."""
    key_id, mac_key = next(iter(world.client.application.extensions["door"].keyring["token_mac"].versions.items()))
    return format_token(key_id=key_id, link_id=bytes(16), mac_key=mac_key)


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("google", tmp_path_factory.mktemp("google")) as process:
        process.seed({"certificates": SIGNER.certificates()})
        yield process


@pytest.fixture(scope="module")
def worlds(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, google: SimulatorProcess
) -> Iterator[tuple[World, World]]:
    """The same installation on each database."""
    gmail = {
        "gmail_push_account": ACCOUNT,
        "gmail_push_audience": AUDIENCE,
        "gmail_push_subscription": SUBSCRIPTION,
        "google_certs_url": f"{google.url}/oauth2/v1/certs",
        "source_limit_per_s": 0,
        "api_keys": (API_KEY,),
    }
    with postgres_server.fresh_database("hostile") as url:
        made = [plugin_world(tmp_path_factory.mktemp("hostile"), where, **gmail) for where in (None, url)]
        for world in made:
            mail_both_links(world)
            wait_for_certificates(world)
        yield made[0], made[1]
        for world in made:
            world.close()


def wait_for_certificates(world: World) -> None:
    for _ in range(2_000):  # they are fetched behind the first push
        if world.client.post("/webhooks/gmail", json=push_body(), headers=pushed(b"")).status_code == 200:
            return
        time.sleep(0.01)
    raise AssertionError("no certificates")


def resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@dataclass
class Cost:
    """The dearest body that was seen."""

    cpu_s: float = 0.0
    growth_bytes: int = 0
    name: str = ""


def send(world: World, way: Way, hostile: Hostile, cost: Cost) -> TestResponse:
    headers = {**way.headers(hostile.raw)} | ({"Content-Encoding": hostile.encoding} if hostile.encoding else {})
    path = way.path(world)
    before_bytes, before_s = resident_bytes(), time.thread_time()
    answer = world.client.post(path, data=hostile.raw, content_type=hostile.media_type, headers=headers)
    spent_s, grown_bytes = time.thread_time() - before_s, resident_bytes() - before_bytes
    if spent_s > cost.cpu_s:
        cost.cpu_s, cost.name = spent_s, hostile.name
    cost.growth_bytes = max(cost.growth_bytes, grown_bytes)
    return answer


def verdict(answer: TestResponse) -> tuple[int, str]:
    """The status, and the whole body: nothing in it depends on anything but the request and its link."""
    text = answer.get_data(as_text=True)
    return answer.status_code, re.sub(r"/[wp]/[A-Za-z0-9_-]{46}", "/w/token", text)  # a page leads to itself


def wrong_with(world_answers: list[TestResponse]) -> str | None:
    first, second = world_answers
    told = first.get_data(as_text=True) + str(first.headers) + second.get_data(as_text=True) + str(second.headers)
    if first.status_code >= 500 or second.status_code >= 500:
        return f"a fault: {first.status_code}, {second.status_code}"
    if verdict(first) != verdict(second):
        return f"two verdicts: {verdict(first)}, {verdict(second)}"
    if CANARY in told.lower():
        return "an echo"
    return None


def test_no_route_that_takes_a_body_is_forgotten(worlds: Pair) -> None:
    rules = worlds[0].client.application.url_map.iter_rules()
    # An answer's body is read only behind its own key: tests/workers/test_answers.py.
    known = {way.rule for way in WAYS.values()} | {"/a/<answer_token>"}
    assert known == {rule.rule for rule in rules if "POST" in (rule.methods or ())}


FORM_RULE = "/webhooks/forms/<form_key>"
DIALECTS_TRIED = [name for name, way in WAYS.items() if way.rule == FORM_RULE]
OTHERS = [name for name in WAYS if name not in DIALECTS_TRIED]
# These do what the form and Stripe's other address do: of the bodies that cost time, one in five.
LIKE_ANOTHER = {"a secret in the path": 5, "stripe, thin": 5}


@pytest.mark.parametrize("name", OTHERS)
def test_every_body_gets_one_clear_answer(worlds: Pair, name: str, request: pytest.FixtureRequest) -> None:
    few = LIKE_ANOTHER.get(name, 1)
    hold(worlds, [(name, one) for number, one in enumerate(BODIES) if is_cheap(one) or number % few == 0], request)


def test_every_body_gets_one_clear_answer_of_a_form(worlds: Pair, request: pytest.FixtureRequest) -> None:
    """Each body to another dialect, and the cheap ones to a second."""
    first, second = itertools.cycle(DIALECTS_TRIED), itertools.cycle(reversed(DIALECTS_TRIED))
    tried = list(zip(first, BODIES, strict=False))
    hold(
        worlds,
        tried + [(name, one) for name, one in zip(second, BODIES, strict=False) if is_cheap(one)],
        request,
    )


def is_cheap(hostile: Hostile) -> bool:
    return len(hostile.raw) < 9_000


@pytest.mark.long
@pytest.mark.parametrize("name", WAYS)
def test_every_body_gets_one_clear_answer_everywhere(worlds: Pair, name: str, request: pytest.FixtureRequest) -> None:
    hold(worlds, [(name, hostile) for hostile in BODIES], request)


def hold(worlds: Pair, tried: list[tuple[str, Hostile]], request: pytest.FixtureRequest) -> None:
    cost, answers, wrong = Cost(), Counter[int](), {}
    for name, hostile in tried:
        both = [send(world, WAYS[name], hostile, cost) for world in worlds]
        answers[both[0].status_code] += 1
        if fault := wrong_with(both):
            wrong[name, hostile.name] = fault
    # Plain texts: a report travels from one process of the tests to another.
    dearest = f"{cost.cpu_s:.3f} s, {cost.growth_bytes} bytes"
    request.node.user_properties += [("answers", str(dict(answers))), ("dearest", dearest)]
    assert wrong == {}
    assert cost.cpu_s < CPU_MAX_S
    assert cost.growth_bytes < GROWTH_MAX_BYTES
    assert len(answers) > 1  # not all refused at the first look


def test_the_recorder_takes_what_was_accepted_and_both_databases_agree(worlds: Pair) -> None:
    for world in worlds:
        world.record()
    first, second = (world.statuses() for world in worlds)
    assert first == second
    assert {reason for _, reason in first} & {"record_failed", "unreadable"} == set()
