"""Gmail's push at the door: who may ring, and that nobody else can, whatever the token says."""

import base64
import hashlib
import hmac
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.auth import jwt
from werkzeug.test import TestResponse

from schemas.refusal import Refused
from tests.simulators.google_push import (
    ACCOUNT,
    AUDIENCE,
    SUBSCRIPTION,
    PushSigner,
    encode,
    push_body,
    push_claims,
)
from tests.simulators.process import SimulatorProcess
from tests.world import World, settings_for
from webhooks.certificates import RETRY_S, STALE_MAX_S, Certificates
from webhooks.push_tokens import PushSender, verify_push_token
from workers.connections import session_to
from workers.doorbell import INTAKE

FUZZED_TOKENS = 20_000
WAIT_S = 20.0


@pytest.fixture(scope="module")
def signer() -> PushSigner:
    return PushSigner()


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory, signer: PushSigner) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("google", tmp_path_factory.mktemp("google")) as process:
        process.seed({"certificates": signer.certificates()})
        yield process


@dataclass
class Door:
    """The door of an installation that Gmail may ring, and how often it was rung."""

    world: World
    signer: PushSigner
    rung: list[str]

    def push(self, token: str | None = None, body: Any = None, **arguments: Any) -> TestResponse:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        raw = body if isinstance(body, bytes) else json.dumps(push_body() if body is None else body)
        arguments = {"content_type": "application/json", "headers": headers} | arguments
        return self.world.client.post("/webhooks/gmail", data=raw, **arguments)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, google: SimulatorProcess, signer: PushSigner) -> Iterator[Door]:
    settings = settings_for(
        tmp_path_factory.mktemp("world"),
        gmail_push_account=ACCOUNT,
        gmail_push_audience=AUDIENCE,
        gmail_push_subscription=SUBSCRIPTION,
        google_certs_url=f"{google.url}/oauth2/v1/certs",
    )
    world = World(settings)
    rung: list[str] = []
    world.client.application.extensions["door"].doorbell.press = rung.append
    made = Door(world, signer, rung)
    until_s = time.monotonic() + WAIT_S  # the certificates are fetched behind the first push
    while made.push(signer.token()).status_code == 503 and time.monotonic() < until_s:
        time.sleep(0.01)
    yield made
    world.close()


def refusal_of(response: TestResponse) -> tuple[int, str]:
    error = response.get_json()["error"]
    return response.status_code, error["reason"]


def test_a_push_of_google_rings_and_leaves_nothing(door: Door) -> None:
    door.rung.clear()
    answer = door.push(door.signer.token())
    assert (answer.status_code, answer.get_json(), door.rung) == (200, {"status": "heard"}, [INTAKE])
    assert door.world.statuses() == []


def test_what_pubsub_adds_changes_nothing(door: Door) -> None:
    assert door.push(door.signer.token(), push_body(deliveryAttempt=5)).status_code == 200
    assert door.push(door.signer.token(push_claims(iss="accounts.google.com"))).status_code == 200
    assert door.push(door.signer.token(push_claims(exp=int(time.time()) - 5))).status_code == 200  # our clock is ahead
    assert door.push(door.signer.token(push_claims(iat=int(time.time()) + 5))).status_code == 200  # or behind


NOW = int(time.time())
CLAIMS: Mapping[str, tuple[dict[str, Any], str]] = {
    "another audience": ({"aud": "https://another.example.org/webhooks/gmail"}, "audience_mismatch"),
    "a longer audience": ({"aud": AUDIENCE + "/"}, "audience_mismatch"),
    "no audience": ({"aud": None}, "audience_mismatch"),
    "our audience and another": ({"aud": [AUDIENCE, "https://another.example.org"]}, "audience_mismatch"),
    "only our audience, as a list": ({"aud": [AUDIENCE]}, "audience_mismatch"),
    "another issuer": ({"iss": "https://accounts.example.org"}, "issuer_mismatch"),
    "an issuer that begins right": ({"iss": "https://accounts.google.com.example.org"}, "issuer_mismatch"),
    "an issuer that is a list": ({"iss": ["https://accounts.google.com"]}, "issuer_mismatch"),
    "expired": ({"exp": NOW - 60, "iat": NOW - 3660}, "token_outside_window"),
    "issued tomorrow": ({"iat": NOW + 86_400, "exp": NOW + 90_000}, "token_outside_window"),
    "expiry as text": ({"exp": str(NOW + 3600)}, "token_malformed"),
    "expiry as true": ({"exp": True}, "token_malformed"),
    "no expiry": ({"exp": None}, "token_malformed"),
    "no time of issue": ({"iat": None}, "token_malformed"),
    "another account": ({"email": "someone@another.iam.example.test"}, "account_mismatch"),
    "our account in capitals": ({"email": ACCOUNT.upper()}, "account_mismatch"),
    "an account not verified": ({"email_verified": False}, "account_mismatch"),
    "verified as text": ({"email_verified": "true"}, "account_mismatch"),
    "verified as a number": ({"email_verified": 1}, "account_mismatch"),
    "verified not said": ({"email_verified": None}, "account_mismatch"),
    "no account": ({"email": None}, "account_mismatch"),
}


@pytest.mark.parametrize(("changes", "reason"), CLAIMS.values(), ids=CLAIMS.keys())
def test_google_signs_for_everybody_so_every_claim_counts(door: Door, changes: dict[str, Any], reason: str) -> None:
    door.rung.clear()
    assert refusal_of(door.push(door.signer.token(push_claims(**changes)))) == (401, reason)
    assert door.rung == []


def hs256(signer: PushSigner) -> str:
    """The classic: the public key, which everybody has, taken as the secret of another algorithm (RFC 8725, 2.1)."""
    header = encode(json.dumps({"alg": "HS256", "kid": signer.key_id, "typ": "JWT"}).encode())
    signed = f"{header}.{encode(json.dumps(push_claims()).encode())}"
    return f"{signed}.{encode(hmac.digest(signer.public_pem, signed.encode(), hashlib.sha256))}"


def unsigned(signer: PushSigner) -> str:
    header = encode(json.dumps({"alg": "none", "kid": signer.key_id}).encode())
    return f"{header}.{encode(json.dumps(push_claims()).encode())}."


FORGED: Mapping[str, tuple[Callable[[PushSigner], str], str]] = {
    "no algorithm": (unsigned, "token_malformed"),
    "no algorithm, some signature": (lambda signer: unsigned(signer) + "AAAA", "token_malformed"),
    "HS256 with the public key": (hs256, "token_malformed"),
    "RS256 in small letters": (lambda s: s.token(header={"alg": "rs256", "kid": s.key_id}), "token_malformed"),
    "no key named": (lambda signer: signer.token(header={"alg": "RS256"}), "token_malformed"),
    "key named by a list": (lambda s: s.token(header={"alg": "RS256", "kid": [s.key_id]}), "token_malformed"),
    "an unknown key": (lambda s: s.token(header={"alg": "RS256", "kid": "0" * 40}), "signature_mismatch"),
    "another's key": (lambda _: PushSigner().token(), "signature_mismatch"),
    "another's signature under a known name": (
        lambda s: PushSigner().token(header={"alg": "RS256", "kid": s.key_id}),
        "signature_mismatch",
    ),
    "signature cut off": (lambda signer: signer.token()[:-8], "signature_mismatch"),
    "an odd length": (lambda signer: signer.token()[:-1], "token_malformed"),
    "two parts": (lambda signer: signer.token().rpartition(".")[0], "token_malformed"),
    "four parts": (lambda signer: signer.token() + ".AAAA", "token_malformed"),
    "claims that are a list": (lambda s: s.sign(header_of(s), b'["aud"]'), "token_malformed"),
    "claims that are no JSON": (lambda s: s.sign(header_of(s), b"{"), "token_malformed"),
    "a claim twice": (
        lambda s: s.sign(header_of(s), json.dumps(push_claims()).replace("{", '{"aud": "x", ').encode()),
        "token_malformed",
    ),
    "header that is no JSON": (lambda signer: signer.sign(b"RS256", b"{}"), "token_malformed"),
    "header that is not UTF-8": (lambda signer: signer.sign(b'{"alg":"RS256\xff"}', b"{}"), "token_malformed"),
    "claims nested 500 deep": (lambda s: s.sign(header_of(s), b"[" * 500 + b"]" * 500), "token_malformed"),
    "nothing": (lambda _: "", "token_malformed"),
    "a space inside": (lambda signer: signer.token().replace(".", ". ", 1), "token_malformed"),
    "not ASCII": (lambda signer: signer.token() + "\u00e5", "token_malformed"),
}


def header_of(signer: PushSigner) -> bytes:
    return json.dumps({"alg": "RS256", "kid": signer.key_id}).encode()


@pytest.mark.parametrize(("make", "reason"), FORGED.values(), ids=FORGED.keys())
def test_a_token_that_google_did_not_sign_is_refused(
    door: Door, make: Callable[[PushSigner], str], reason: str
) -> None:
    door.rung.clear()
    assert refusal_of(door.push(make(door.signer))) == (401, reason)
    assert door.rung == []


@pytest.mark.parametrize("value", ["", "Bearer", "Basic cG9zdDpwb3N0", "bearer x", "Bearer \xff.\xff.\xff", "x" * 4000])
def test_what_is_no_bearer_token_is_refused(door: Door, value: str) -> None:
    assert refusal_of(door.push(headers={"Authorization": value})) == (401, "token_malformed")
    assert refusal_of(door.push()) == (401, "token_missing")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (push_body(subscription="projects/another/subscriptions/samtykke"), (401, "subscription_mismatch")),
        (push_body(subscription=SUBSCRIPTION + "2"), (401, "subscription_mismatch")),
        (push_body(subscription=None), (400, "push_malformed")),
        (push_body(message="text"), (400, "push_malformed")),
        (push_body(message={"messageId": "1"}), (400, "push_malformed")),
        (push_body(message={"messageId": "1", "data": "not base64!"}), (400, "push_malformed")),
        (push_body(message={"messageId": "1", "data": "\u00e5"}), (400, "push_malformed")),
        (push_body(message={"messageId": "1", "data": base64.b64encode(b"[]").decode()}), (400, "push_malformed")),
        ([], (400, "push_malformed")),
        (b"{", (400, "json_malformed")),
        (b"", (400, "json_malformed")),
        (b"\xff", (400, "text_not_utf8")),
        (b" " * 600_000, (413, "body_too_large")),
    ],
)
def test_a_body_that_is_not_our_subscriptions_rings_nothing(door: Door, body: Any, expected: tuple[int, str]) -> None:
    door.rung.clear()
    assert refusal_of(door.push(door.signer.token(), body)) == expected
    assert door.rung == []


def test_it_must_be_json(door: Door) -> None:
    assert refusal_of(door.push(door.signer.token(), content_type="text/plain"))[0] == 415


def test_without_its_settings_there_is_no_such_sender(world: World, signer: PushSigner) -> None:
    answer = world.client.post(
        "/webhooks/gmail", json=push_body(), headers={"Authorization": f"Bearer {signer.token()}"}
    )
    assert refusal_of(answer) == (404, "sender_not_configured")


VALUES = (None, True, 0, -1, 1.5, 2**62, "", "true", AUDIENCE, ACCOUNT)
VALUES += ([], {}, [AUDIENCE], NOW + 1800, str(NOW), "\u0000", "\ud83d")


def spoiled(token: str, chance: random.Random) -> str:
    """One character changed, dropped, doubled or put in, or two parts exchanged."""
    place = chance.randrange(len(token))
    letter = chance.choice("ABCxyz019-_.= \u00e5\x7f")
    parts = token.split(".")
    chance.shuffle(parts)
    return chance.choice(
        [
            token[:place] + letter + token[place + 1 :],
            token[:place] + token[place + 1 :],
            token[:place] + letter + token[place:],
            token[:place],
            token[place:],
            ".".join(parts),
        ]
    )


def verdict(door: Door, token: str) -> str:
    """What the verification says, without the application around it."""
    certificates = door.world.client.application.extensions["certificates"]
    try:
        verify_push_token(
            f"Bearer {token}", certificates.current, PushSender(ACCOUNT, AUDIENCE), time.time_ns() // 1_000_000
        )
    except Refused as refused:
        assert refused.status == 401
        return refused.reason
    # Google's own library is the second opinion on whatever is let in.
    assert jwt.decode(token, certs=door.signer.certificates(), audience=AUDIENCE, clock_skew_in_seconds=10)
    return "let in"


def test_no_spoiled_token_gets_in(door: Door) -> None:
    chance = random.Random(20_261_124)
    token = door.signer.token(push_claims(iat=NOW))
    said = Counter(verdict(door, spoiled(token, chance)) for _ in range(FUZZED_TOKENS))
    assert said["token_malformed"] > 1000
    assert said["signature_mismatch"] > 1000
    # The last letter of a signature has bits to spare, and sometimes nothing was changed.
    assert said["let in"] < FUZZED_TOKENS / 25


def test_no_claims_of_any_kind_get_in_but_the_right_ones(door: Door) -> None:
    """Signed by the right key, and nearly right."""
    chance = random.Random(20_261_125)
    for _ in range(FUZZED_TOKENS // 10):
        claims = push_claims(iat=NOW)
        for name in chance.sample(sorted(claims), chance.randint(1, 3)):
            claims[name] = chance.choice(VALUES)
        if verdict(door, door.signer.token(claims)) == "let in":
            assert (claims["email"], claims["email_verified"], claims["aud"]) == (ACCOUNT, True, AUDIENCE)


def test_the_door_answers_every_spoiled_token_with_401(door: Door) -> None:
    chance = random.Random(20_261_126)
    token = door.signer.token()
    tried = [each for each in (spoiled(token, chance) for _ in range(500)) if verdict(door, each) != "let in"]
    assert {door.push(each).status_code for each in tried} == {401}


# The certificates.


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def certificates_of(google: SimulatorProcess, directory: Path, clock: Clock) -> Certificates:
    url = f"{google.url}/oauth2/v1/certs"
    return Certificates(url, session_to(settings_for(directory), url), clock)


def fetches(google: SimulatorProcess) -> int:
    return sum(line["path"] == "/oauth2/v1/certs" for line in google.journal())


def ask(certificates: Certificates) -> int:
    """How many there are, once whatever runs behind has ended."""
    try:
        return len(certificates.current())
    except Refused as refused:
        assert (refused.status, refused.reason) == (503, "certificates_awaited")
        return 0
    finally:
        with certificates._fetching:
            pass


def test_certificates_are_fetched_once_and_then_when_they_are_old(
    google: SimulatorProcess, tmp_path: Path, signer: PushSigner
) -> None:
    clock, before = Clock(), fetches(google)
    certificates = certificates_of(google, tmp_path, clock)
    assert [ask(certificates) for _ in range(3)] == [0, 1, 1]
    assert fetches(google) == before + 1
    clock.now_s += 19_801  # Cache-Control said 19,800
    assert [ask(certificates) for _ in range(3)] == [1, 1, 1]  # the old ones serve while new ones come
    assert fetches(google) == before + 2


def test_while_google_cannot_be_reached_the_old_ones_serve_for_a_day(google: SimulatorProcess, tmp_path: Path) -> None:
    clock = Clock()
    certificates = certificates_of(google, tmp_path, clock)
    certificates.fetch()
    before = fetches(google)
    try:
        google.faults([{"path_prefix": "/oauth2/", "status": 503, "count": None}])
        clock.now_s += 19_801
        assert [ask(certificates) for _ in range(5)] == [1] * 5
        assert fetches(google) == before + 1  # not once for each push
        clock.now_s += RETRY_S
        ask(certificates)
        assert fetches(google) == before + 2
        clock.now_s += STALE_MAX_S
        assert ask(certificates) == 0
    finally:
        google.clear()
    clock.now_s += RETRY_S
    assert [ask(certificates), ask(certificates)] == [0, 1]


@pytest.mark.parametrize(
    "body", ["<html>", "", {}, [], {"1": "x"}, {"1": None}, {"1": "-----BEGIN CERTIFICATE-----\nAA=="}]
)
def test_an_answer_that_is_no_certificates_replaces_none(
    google: SimulatorProcess, tmp_path: Path, body: object
) -> None:
    clock = Clock()
    certificates = certificates_of(google, tmp_path, clock)
    certificates.fetch()
    google.faults([{"path_prefix": "/oauth2/", "body": body}])
    certificates.fetch()
    assert ask(certificates) == 1
