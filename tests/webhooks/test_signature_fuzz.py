"""Forty thousand spoiled proofs for every scheme: 401, or a genuine one. Never anything else, never a fault.

What is genuine is known by construction: nothing may pass that was not signed here. The seed is fixed; a failure names
its case, and runs again alone.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote

import pytest

from schemas.refusal import Refused
from tests.webhooks.signing import FIELDS, FORM, JSON, MESSAGE_ID, NOW_S, SCHEMES, Headers, Scheme
from tests.world import World, settings_for
from webhooks.signatures import fingerprint

CASES = 40_000
THROUGH_THE_DOOR = 250  # of each scheme
SEED = 20_261_125
REASONS = {
    *("signature_malformed", "signature_mismatch", "signature_outside_window"),
    *("secret_missing", "secret_mismatch", "no_secret_configured"),
}
CHARACTERS = "0189abfzAZ=,.:;_-+/ \t\n\x00\x7f\xe6\xff\u0660\u2028\uff11\ud800\U0001f600\"'\\%&v"
LIVE = ((), ("",), ("whsec_",), ("whpk_AAAA",), ("whpk_\xe6",), ("whsec_!!!",), ("&amp;#x26;",), ("a" * 5000,))


@dataclass(frozen=True)
class Genuine:
    """Something that was signed: with which secret, when, and what."""

    secret: str
    at_s: int
    raw: bytes
    headers: Headers


def genuine_of(scheme: Scheme) -> list[Genuine]:
    """Bodies, times and secrets that differ: what is mixed from several must not pass."""
    bodies = [scheme.body(), scheme.body(FIELDS | {"newsletter": "0"}), b""]
    times = (NOW_S, NOW_S - 299, NOW_S + 299, NOW_S - 301, NOW_S + 301, 0)
    return [
        Genuine(secret, at_s, raw, scheme.sign(secret, at_s, raw))
        for secret in scheme.secrets
        for at_s in (times if scheme.has_time else times[:1])
        for raw in (bodies if scheme.covers_body else bodies[:1])
    ]


# What is done to a header: (chance, text, a place in it) -> text.
CHANGES: tuple[Callable[[random.Random, str, int], str], ...] = (
    lambda chance, text, at: text[:at] + chance.choice(CHARACTERS) + text[at:],
    lambda chance, text, at: text[:at] + text[at + 1 :],
    lambda chance, text, at: text[:at] + chance.choice(CHARACTERS) + text[at + 1 :],
    lambda chance, text, at: text[:at],
    lambda chance, text, at: text[at:],
    lambda chance, text, at: text.swapcase(),
    lambda chance, text, at: f" {text} ",
    lambda chance, text, at: f"{text}{chance.choice((', ', ',', ' '))}{text}",
    lambda chance, text, at: ",".join(chance.sample(text.split(","), text.count(",") + 1)),
    lambda chance, text, at: text.replace("v1", chance.choice(("v0", "v1a", "v1", "v", "V1", "v1=v1"))),
    lambda chance, text, at: text.replace("t=", f"t={chance.choice(('-', '+', '0', '1', ' ', '9' * 20, '1e9'))}"),
    lambda chance, text, at: text * chance.choice((2, 11, 200)),
    lambda chance, text, at: "".join(chance.choices(CHARACTERS, k=chance.randrange(80))),
    lambda chance, text, at: text.replace("=", "", 1),
)
BODY_CHANGES: tuple[Callable[[random.Random, bytes, int], bytes], ...] = (
    lambda chance, raw, at: raw[:at] + chance.randbytes(1) + raw[at:],
    lambda chance, raw, at: raw[:at] + raw[at + 1 :],
    lambda chance, raw, at: raw[:at] + chance.randbytes(1) + raw[at + 1 :],
    lambda chance, raw, at: raw[:at],
    lambda chance, raw, at: raw + raw,
    lambda chance, raw, at: raw.replace(b"&", chance.choice((b"&&", b";", b"&a=1&", b"&%00=&"))),
    lambda chance, raw, at: chance.randbytes(chance.randrange(60)),
)


class Spoiler:
    """Spoils proofs, at random but always the same."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def text(self, text: str) -> str:
        """One to three changes to a header."""
        for change in self.chance.choices(CHANGES, k=self.chance.choice((1, 1, 2, 3))):
            text = change(self.chance, text, self.chance.randrange(len(text) + 1))
        return text

    def body(self, raw: bytes) -> bytes:
        return self.chance.choice(BODY_CHANGES)(self.chance, raw, self.chance.randrange(len(raw) + 1))

    def headers(self, headers: Headers) -> Headers:
        """One of them is missing, empty, or changed."""
        name = self.chance.choice([*headers])
        match self.chance.randrange(5):
            case 0:
                return {kept: value for kept, value in headers.items() if kept != name}
            case 1:
                return {**headers, name: ""}
        return {**headers, name: self.text(headers[name])}


@dataclass(frozen=True)
class Case:
    raw: bytes
    headers: Mapping[str, str]
    live: tuple[str, ...]
    now_ms: int


def cases_of(scheme: Scheme, genuine: list[Genuine], count: int) -> Iterator[Case]:
    """One thing spoiled, or several; one in twenty-five not at all."""
    spoiler = Spoiler(SEED)
    chance = spoiler.chance
    for _ in range(count):
        one = chance.choice(genuine)
        raw, headers, live, now_ms = one.raw, one.headers, scheme.secrets, NOW_S * 1000
        spoiled = chance.choices(range(6), (70, 15, 10, 10, 10, 4), k=chance.choice((1, 1, 2)))
        if 0 in spoiled:
            headers = spoiler.headers(headers)
        if 1 in spoiled:
            raw = spoiler.body(raw)
        if 2 in spoiled:  # the proof of another, or a part of it
            other = chance.choice(genuine).headers
            headers = {
                **headers,
                **{name: other[name] for name in chance.sample([*other], chance.randint(1, len(other)))},
            }
        if 3 in spoiled:
            now_ms += chance.choice((-600_000, -1, 1, 600_000, -now_ms, 2**63, 10**30))
        if 4 in spoiled:
            live = chance.choice((*LIVE, scheme.secrets[:1], scheme.secrets[1:], (*LIVE[-1], *scheme.secrets)))
        yield Case(raw, headers, live, now_ms)


def same(scheme: Scheme, one: bytes, other: bytes) -> bool:
    """The same bytes; or, where the fields are what is signed, the same fields, read by another library."""
    if scheme.media_type != FORM or one == other:
        return one == other
    return parse_qsl(one.decode(), keep_blank_values=True) == parse_qsl(other.decode(), keep_blank_values=True)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_of_forty_thousand_spoiled_proofs_only_genuine_ones_pass(scheme: Scheme) -> None:
    genuine = genuine_of(scheme)
    passed = refused = 0
    for number, case in enumerate(cases_of(scheme, genuine, CASES)):
        try:
            signed = scheme.verify(case.raw, case.headers, case.live, case.now_ms)
        except Refused as refusal:
            assert (refusal.status, refusal.reason in REASONS) == (401, True), f"case {number}"
            refused += 1
            continue
        passed += 1
        assert any(
            signed.key_id == fingerprint(one.secret)
            and one.secret in case.live
            and (not scheme.covers_body or same(scheme, one.raw, case.raw))
            and (
                not scheme.has_time or (signed.at_ms == one.at_s * 1000 and abs(signed.at_ms - case.now_ms) <= 300_000)
            )
            and signed.message_id in (None, MESSAGE_ID)
            for one in genuine
        ), f"case {number} passed and was never signed"
    assert passed + refused == CASES
    assert passed > 300, "hardly anything genuine was tried"
    assert refused > 20_000


# Scheme: the dialect of a form that is proved so.
DIALECT_OF = {
    "standard v1": "generic",
    "standard v1a": "generic",
    "wpforms json": "wpforms",
    "wpforms form": "wpforms",
    "woocommerce": "woocommerce",
    "wp webhooks": "wp_webhooks",
    "secret": "gravity_forms",
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An installation with a form for every scheme, each with both of its secrets live."""
    settings = settings_for(tmp_path_factory.mktemp("door"))
    keys = {name: name.replace(" ", "-") for name in DIALECT_OF}
    form = '[forms.{}]\ndialect = "{}"\nintent = "withdrawal"\nfields = {{ email = "email" }}\nsites = []\n'
    forms = "".join(form.format(keys[name], dialect) for name, dialect in DIALECT_OF.items())
    policy = settings.data_dir / "policy.toml"
    policy.write_text(settings.policy_file.read_text(encoding="utf-8") + forms, encoding="utf-8")
    live = {keys[name]: SCHEMES[name].secrets for name in DIALECT_OF}
    stripe = SCHEMES["stripe"].secrets
    made = World(replace(settings, policy_file=policy, form_secrets=live, stripe_webhook_secrets=stripe))
    yield made
    made.close()


def as_sent(value: str) -> str:
    """What can stand in a header at all; a server refuses the rest before we see it."""
    return value.encode("latin-1", "replace").decode("latin-1").translate({ord("\n"): None, ord("\x00"): None})


def from_address(number: int) -> dict[str, str]:
    """Each from an address of its own: one that fails so often would only be told to wait."""
    return {"REMOTE_ADDR": f"192.0.2.{number}"}


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_the_door_answers_every_spoiled_proof_and_stores_nothing_for_a_refused_one(door: World, scheme: Scheme) -> None:
    path = "/webhooks/stripe" if scheme.name == "stripe" else f"/webhooks/forms/{scheme.name.replace(' ', '-')}"
    spoiler = Spoiler(SEED)
    raw = scheme.body()
    headers = scheme.sign(scheme.secrets[0], int(time.time()), raw)
    answers: Counter[int] = Counter()
    for number in range(THROUGH_THE_DOOR):
        spoiled = headers if number % 10 == 0 else spoiler.headers(headers)
        sent = {name: as_sent(value) for name, value in spoiled.items()}
        body = spoiler.body(raw) if number % 10 == 1 else raw
        media_type = spoiler.text(scheme.media_type) if number % 10 == 2 else scheme.media_type
        before = len(door.statuses())
        answer = door.client.post(
            path, data=body, content_type=as_sent(media_type), headers=sent, environ_overrides=from_address(number)
        )
        answers[answer.status_code] += 1
        assert answer.status_code == 200 or len(door.statuses()) == before
    assert set(answers) <= {200, 400, 401, 413, 415}
    assert answers[200] >= THROUGH_THE_DOOR / 10
    assert answers[401] >= THROUGH_THE_DOOR / 2


def test_the_door_answers_every_secret_in_a_path(door: World) -> None:
    spoiler = Spoiler(SEED)
    answers: Counter[int] = Counter()
    for number in range(THROUGH_THE_DOOR):
        secret = spoiler.text(SCHEMES["secret"].secrets[0])
        url = f"/webhooks/forms/secret/{quote(secret, safe='', errors='replace')}"
        answer = door.client.post(url, data=b"{}", content_type=JSON, environ_overrides=from_address(number))
        answers[answer.status_code] += 1
    # A path with a slash in it, or with nothing, is another route.
    assert set(answers) <= {200, 401, 404}
    assert answers[401] > THROUGH_THE_DOOR / 2
