"""Every way a proof can be right or wrong, for every scheme: 401 with one reason, or who it was."""

import hmac
from collections.abc import Callable

import pytest

from schemas.refusal import Refused
from tests.webhooks.signing import FIELDS, FORM, NOW_S, SCHEMES, Headers, Scheme
from webhooks.signatures import Signed, fingerprint

NOW_MS = NOW_S * 1000
LATIN = "\xe6\xf8\xe5" * 20  # how a WSGI server hands over bytes that are not ASCII
TIMED = [scheme for scheme in SCHEMES.values() if scheme.has_time]
# Of each family: which answer.
PASSES, MALFORMED, MISMATCH = "passes", "signature_malformed", "signature_mismatch"
LATE, NONE_LIVE, ABSENT, OTHER = "signature_outside_window", "no_secret_configured", "secret_missing", "secret_mismatch"
COLUMNS = {
    "stripe": "stripe",
    "standard v1": "standard",
    "standard v1a": "standard",
    "wpforms json": "wpforms",
    "wpforms form": "wpforms",
    "woocommerce": "base64",
    "wp webhooks": "base64",
    "secret": "secret",
}
# case: (stripe, standard, wpforms, base64, secret)
EXPECTED = {
    "good": (PASSES, PASSES, PASSES, PASSES, PASSES),
    "no header at all": (MALFORMED, MALFORMED, MALFORMED, MALFORMED, ABSENT),
    "an empty header": (MALFORMED, MISMATCH, MALFORMED, MALFORMED, ABSENT),
    "words instead of a proof": (MALFORMED, MISMATCH, MALFORMED, MISMATCH, OTHER),
    "the end of it cut off": (MISMATCH, MISMATCH, MISMATCH, MISMATCH, OTHER),
    "a space behind it": (MISMATCH, PASSES, MISMATCH, MISMATCH, OTHER),
    "not ASCII": (MALFORMED, MISMATCH, MALFORMED, MISMATCH, OTHER),
    "half of it not ASCII": (MISMATCH, MISMATCH, MISMATCH, MISMATCH, OTHER),
    "in the other case of letters": (MALFORMED, MISMATCH, MALFORMED, MISMATCH, OTHER),
    "longer than any honest one": (MALFORMED, MALFORMED, MALFORMED, MALFORMED, MALFORMED),
    "the same header twice": (MALFORMED, MALFORMED, MALFORMED, MALFORMED, OTHER),
    "made with another secret": (MISMATCH, MISMATCH, MISMATCH, MISMATCH, OTHER),
    "over another body": (MISMATCH, MISMATCH, MISMATCH, MISMATCH, PASSES),
    "over the same body serialised anew": (MISMATCH, MISMATCH, MISMATCH, MISMATCH, PASSES),
    "over no body": (MISMATCH, MISMATCH, MISMATCH, MISMATCH, PASSES),
    "made with an empty secret": (MISMATCH, MISMATCH, MISMATCH, MISMATCH, ABSENT),
    "no secret is live": (NONE_LIVE, NONE_LIVE, NONE_LIVE, NONE_LIVE, NONE_LIVE),
    "only an empty secret is live": (NONE_LIVE, NONE_LIVE, NONE_LIVE, NONE_LIVE, NONE_LIVE),
}
FAMILIES = ("stripe", "standard", "wpforms", "base64", "secret")
Attempt = tuple[bytes, Headers, tuple[str, ...]]


def good(scheme: Scheme, secret: int = 0, at_s: int = NOW_S) -> tuple[bytes, Headers]:
    raw = scheme.body()
    return raw, scheme.sign(scheme.secrets[secret], at_s, raw)


def with_proof(change: Callable[[str], str]) -> Callable[[Scheme], Attempt]:
    def attempt(scheme: Scheme) -> Attempt:
        raw, headers = good(scheme)
        return raw, headers | {scheme.carries: change(headers[scheme.carries])}, scheme.secrets[:1]

    return attempt


def over(body: Callable[[Scheme], bytes]) -> Callable[[Scheme], Attempt]:
    return lambda scheme: (body(scheme), good(scheme)[1], scheme.secrets[:1])


def while_live(*secrets: str) -> Callable[[Scheme], Attempt]:
    return lambda scheme: (*good(scheme), secrets)


def serialised_anew(scheme: Scheme) -> bytes:
    """As a proxy does that parses and writes again: other spaces, or the fields in another order."""
    if scheme.media_type == FORM:
        return scheme.body(dict(reversed(FIELDS.items())))
    return scheme.body().replace(b'","', b'", "')


def signed_with_nothing(scheme: Scheme) -> Attempt:
    """With the key that HMAC takes for an empty one: it pads with zeroes."""
    raw, headers = good(scheme)
    if scheme.name == "secret":
        return raw, {scheme.carries: ""}, scheme.secrets[:1]
    if scheme.name == "standard v1a":  # there is no empty key; a signature of nothing
        return raw, headers | {scheme.carries: "v1a," + "A" * 86 + "=="}, scheme.secrets[:1]
    secret = "whsec_AA==" if scheme.name == "standard v1" else "\x00"
    return raw, scheme.sign(secret, NOW_S, raw), scheme.secrets[:1]


ATTEMPTS: dict[str, Callable[[Scheme], Attempt]] = {
    "good": with_proof(lambda proof: proof),
    "no header at all": lambda scheme: (scheme.body(), {}, scheme.secrets[:1]),
    "an empty header": with_proof(lambda _: ""),
    "words instead of a proof": with_proof(lambda _: "trust me"),
    "the end of it cut off": with_proof(lambda proof: proof[:-1]),
    "a space behind it": with_proof(lambda proof: proof + " "),
    "not ASCII": with_proof(lambda _: LATIN),
    "half of it not ASCII": with_proof(lambda proof: proof[:-30] + LATIN[:30]),
    "in the other case of letters": with_proof(str.swapcase),
    "longer than any honest one": with_proof(lambda proof: proof + " " + "v1,AAAA " * 600),
    "the same header twice": with_proof(lambda proof: f"{proof}, {proof}"),
    "made with another secret": lambda scheme: (*good(scheme, 1), scheme.secrets[:1]),
    "over another body": over(lambda scheme: scheme.body(FIELDS | {"newsletter": "0"})),
    "over the same body serialised anew": over(serialised_anew),
    "over no body": over(lambda _: b""),
    "made with an empty secret": signed_with_nothing,
    "no secret is live": while_live(),
    "only an empty secret is live": while_live("", "whsec_", "whpk_"),
}


def outcome(scheme: Scheme, attempt: Attempt, now_ms: int = NOW_MS) -> tuple[int, str]:
    raw, headers, secrets = attempt
    with pytest.raises(Refused) as caught:
        scheme.verify(raw, headers, secrets, now_ms)
    return caught.value.status, caught.value.reason


def expected_of(case: str, scheme: Scheme) -> str:
    return EXPECTED[case][FAMILIES.index(COLUMNS[scheme.name])]


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("case", EXPECTED)
def test_a_proof_is_believed_or_refused(case: str, name: str) -> None:
    scheme, expected = SCHEMES[name], expected_of(case, SCHEMES[name])
    attempt = ATTEMPTS[case](scheme)
    if expected == PASSES:
        signed = scheme.verify(*attempt, NOW_MS)
        assert signed.key_id == fingerprint(scheme.secrets[0])
        assert signed.at_ms == (NOW_MS if scheme.has_time else None)
    else:
        assert outcome(scheme, attempt) == (401, expected)


def test_every_case_is_tried_on_every_scheme() -> None:
    assert set(ATTEMPTS) == set(EXPECTED)
    assert set(COLUMNS) == set(SCHEMES)
    assert {*COLUMNS.values()} == {*FAMILIES}


@pytest.mark.parametrize("scheme", TIMED, ids=lambda scheme: scheme.name)
@pytest.mark.parametrize(
    ("offset_s", "is_in_time"),
    [(-86_400, False), (-301, False), (-300, True), (300, True), (301, False), (2**36, False)],
)
def test_a_time_counts_on_both_sides_of_our_clock(scheme: Scheme, offset_s: int, is_in_time: bool) -> None:
    at_s = NOW_S + offset_s
    raw, headers = good(scheme, at_s=at_s)
    if is_in_time:
        assert scheme.verify(raw, headers, scheme.secrets, NOW_MS).at_ms == at_s * 1000
    else:
        assert outcome(scheme, (raw, headers, scheme.secrets)) == (401, LATE)


@pytest.mark.parametrize("scheme", TIMED, ids=lambda scheme: scheme.name)
def test_without_the_secret_nobody_learns_our_clock(scheme: Scheme) -> None:
    assert outcome(scheme, (*good(scheme, 1, at_s=1), scheme.secrets[:1])) == (401, MISMATCH)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("used", [0, 1])
def test_of_two_live_secrets_each_is_accepted_and_named(scheme: Scheme, used: int) -> None:
    signed = scheme.verify(*good(scheme, used), scheme.secrets, NOW_MS)
    assert signed.key_id == fingerprint(scheme.secrets[used])


@pytest.mark.parametrize("name", ["stripe", "standard v1", "standard v1a"])
@pytest.mark.parametrize("first", [0, 1])
def test_of_a_sender_that_signs_with_both_secrets_the_newest_is_named(name: str, first: int) -> None:
    """While a secret is rolled over. Else the old one would look used until it is gone."""
    scheme = SCHEMES[name]
    raw, headers = good(scheme, first)
    other = good(scheme, 1 - first)[1][scheme.carries]
    both = headers[scheme.carries] + (other[other.index(",v1=") :] if name == "stripe" else f" {other}")
    signed = scheme.verify(raw, {**headers, scheme.carries: both}, scheme.secrets, NOW_MS)
    assert signed.key_id == fingerprint(scheme.secrets[0])


def test_a_public_key_and_a_secret_may_both_be_live() -> None:
    """While a sender moves from one kind to the other."""
    symmetric, asymmetric = SCHEMES["standard v1"], SCHEMES["standard v1a"]
    live = (asymmetric.secrets[0], symmetric.secrets[0])
    for scheme in (symmetric, asymmetric):
        assert scheme.verify(*good(scheme), live, NOW_MS).key_id == fingerprint(scheme.secrets[0])


def test_a_public_key_is_never_taken_for_a_secret() -> None:
    """It is public: everybody could sign with it."""
    public = SCHEMES["standard v1a"].secrets[0]
    raw = SCHEMES["standard v1a"].body()
    for secret in (public, public.removeprefix("whpk_")):
        forged = SCHEMES["standard v1"].sign(secret.removeprefix("whpk_"), NOW_S, raw)
        for version in ("v1,", "v1a,"):
            headers = forged | {"webhook-signature": forged["webhook-signature"].replace("v1,", version)}
            assert outcome(SCHEMES["standard v1a"], (raw, headers, (public,))) == (401, MISMATCH)


@pytest.mark.parametrize("broken", ["whpk_AAAA", "whpk_!", "whpk_æøå", "whpk_" + "A" * 4000])
def test_a_public_key_that_is_none_verifies_nothing(broken: str) -> None:
    scheme = SCHEMES["standard v1a"]
    assert outcome(scheme, (*good(scheme), (broken,))) == (401, NONE_LIVE)
    assert scheme.verify(*good(scheme), (broken, scheme.secrets[0]), NOW_MS).key_id == fingerprint(scheme.secrets[0])


def test_every_secret_is_compared_with_every_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found or not: how long it takes tells nobody which secret, or which half of one, was nearly right."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    scheme = SCHEMES["stripe"]
    raw, headers = good(scheme)
    proof = headers[scheme.carries] + ",v1=00" * 3
    assert isinstance(scheme.verify(raw, {scheme.carries: proof}, scheme.secrets, NOW_MS), Signed)
    assert len(compared) == 2 * 4
