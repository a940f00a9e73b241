"""The details of each header, made by the senders' own libraries. What all schemes share: test_signatures_table.py."""

import base64
import datetime
from collections.abc import Mapping

import pytest
import stripe
from standardwebhooks import Webhook

from schemas.refusal import Refused
from tests.world import SIGNED_SECRET, STRIPE_SECRET
from webhooks.signatures import Signed, fingerprint, verify_secret, verify_standard, verify_stripe

NOW_S = 1_795_400_000
NOW_MS = NOW_S * 1000
BODY = '{"email":"zoë@example.test"}'
RAW = BODY.encode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of 24 byte").decode()
LATIN = "\xe6\xf8\xe5" * 10  # how a WSGI server hands over bytes that are not ASCII


def standard_headers(
    secret: str = SIGNED_SECRET, at_s: int = NOW_S, message_id: str = "msg_1", body: str = BODY
) -> dict[str, str]:
    moment = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    signature = Webhook(secret).sign(message_id, moment, body)
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": signature}


def stripe_header(secret: str = STRIPE_SECRET, at_s: int = NOW_S, body: str = BODY) -> str:
    return str(stripe.WebhookSignature.generate_signature_header(body, secret, at_s))


def check_standard(headers: Mapping[str, str], raw: bytes = RAW, secrets: tuple[str, ...] = (SIGNED_SECRET,)) -> Signed:
    return verify_standard(raw, headers.get, secrets, NOW_MS)


def check_stripe(header: str, raw: bytes = RAW, secrets: tuple[str, ...] = (STRIPE_SECRET,)) -> Signed:
    return verify_stripe(raw, {"Stripe-Signature": header}.get, secrets, NOW_MS)


def refusal_of(check: object, *arguments: object) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        check(*arguments)  # type: ignore[operator]
    return caught.value.status, caught.value.reason


MISMATCH, MALFORMED = (401, "signature_mismatch"), (401, "signature_malformed")


def test_a_standard_signature_says_who_when_and_which_message() -> None:
    assert check_standard(standard_headers()) == Signed(fingerprint(SIGNED_SECRET), NOW_MS, "msg_1")


def test_a_stripe_signature_says_who_and_when() -> None:
    assert check_stripe(stripe_header()) == Signed(fingerprint(STRIPE_SECRET), NOW_MS)


@pytest.mark.parametrize("position", [0, 9, len(RAW) - 1])
def test_one_changed_byte_is_refused(position: int) -> None:
    changed = bytearray(RAW)
    changed[position] ^= 1
    assert refusal_of(check_standard, standard_headers(), bytes(changed)) == MISMATCH
    assert refusal_of(check_stripe, stripe_header(), bytes(changed)) == MISMATCH


@pytest.mark.parametrize("secret", ["whsec_", ""])
def test_a_secret_without_a_key_verifies_nothing(secret: str) -> None:
    """Anybody can sign with the empty key."""
    signature = Webhook(b"\x00").sign("msg_1", datetime.datetime.fromtimestamp(NOW_S, datetime.UTC), BODY)
    headers = standard_headers() | {"webhook-signature": signature}  # HMAC pads a key with zeroes: the same as none
    assert refusal_of(check_standard, headers, RAW, (secret,)) == (401, "no_secret_configured")
    assert refusal_of(check_stripe, "t=1,v1=00", RAW, (secret,)) == (401, "no_secret_configured")


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_standard_header_is_refused(missing: str) -> None:
    headers = standard_headers()
    del headers[missing]
    assert refusal_of(check_standard, headers) == (MISMATCH if missing == "webhook-signature" else MALFORMED)


MALFORMED_STANDARD = {
    "an id with a full stop, where id and timestamp meet": ({"webhook-id": "msg.1"}, MALFORMED),
    "an id with a space": ({"webhook-id": "msg 1"}, MALFORMED),
    "an id that is not ASCII": ({"webhook-id": LATIN}, MALFORMED),
    "an id that is too long": ({"webhook-id": "m" * 201}, MALFORMED),
    "a time with a fraction": ({"webhook-timestamp": f"{NOW_S}.5"}, MALFORMED),
    "a time with a sign": ({"webhook-timestamp": f"+{NOW_S}"}, MALFORMED),
    "a time of other digits": ({"webhook-timestamp": "１７９５４０００００"}, MALFORMED),
    "a time that is too long": ({"webhook-timestamp": "1" * 13}, MALFORMED),
    "no time": ({"webhook-timestamp": "now"}, MALFORMED),
    "a signature without its version": ({"webhook-signature": "K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN"}, MISMATCH),
    "a signature that is not base64": ({"webhook-signature": "v1,!!!"}, MISMATCH),
    "a signature that is not ASCII": ({"webhook-signature": f"v1,{LATIN}"}, MISMATCH),
    "a signature of another version": ({"webhook-signature": "v1a,AAAA"}, MISMATCH),
    "a header without end": ({"webhook-signature": "v1,AAAA " * 600}, MALFORMED),
}


@pytest.mark.parametrize("case", MALFORMED_STANDARD)
def test_a_malformed_standard_header_is_refused(case: str) -> None:
    changes, expected = MALFORMED_STANDARD[case]
    headers = standard_headers(message_id=changes.get("webhook-id", "msg_1")) | changes
    assert refusal_of(check_standard, headers) == expected


GOOD = stripe_header().partition("v1=")[2]
MALFORMED_STRIPE = {
    "nothing": ("", MALFORMED),
    "no signature": (f"t={NOW_S}", MALFORMED),
    "only the test scheme v0": (f"t={NOW_S},v0={GOOD}", MALFORMED),
    "no time": (f"v1={GOOD}", MALFORMED),
    "two times": (f"t={NOW_S},t={NOW_S},v1={GOOD}", MALFORMED),
    "a time in words": (f"t=now,v1={GOOD}", MALFORMED),
    "a time with a fraction": (f"t={NOW_S}.0,v1={GOOD}", MALFORMED),
    "another time than was signed": (f"t={NOW_S + 1},v1={GOOD}", MISMATCH),
    "an empty signature": (f"t={NOW_S},v1=", MISMATCH),
    "a part without an equals sign": (f"t={NOW_S},v1", MISMATCH),
    "upper case, which nobody sends": (f"t={NOW_S},v1={GOOD.upper()}", MISMATCH),
    "a signature that is not ASCII": (f"t={NOW_S},v1={LATIN}", MISMATCH),
    "a header without end": (f"t={NOW_S}" + f",v1={GOOD}" * 70, MALFORMED),
}


@pytest.mark.parametrize("case", MALFORMED_STRIPE)
def test_a_malformed_stripe_header_is_refused(case: str) -> None:
    header, expected = MALFORMED_STRIPE[case]
    assert refusal_of(check_stripe, header) == expected


@pytest.mark.parametrize("place", [0, 1, 9])
def test_one_good_signature_among_ten_is_enough(place: int) -> None:
    """A sender that rotates its secret signs with both."""
    headers = standard_headers()
    candidates = ["v1,AAAA"] * 9
    candidates.insert(place, headers["webhook-signature"])
    assert check_standard(headers | {"webhook-signature": " ".join(candidates)}).message_id == "msg_1"
    signatures = ["v1=00"] * 9
    signatures.insert(place, f"v1={GOOD}")
    assert check_stripe(",".join([f"t={NOW_S}", "v0=00", *signatures])).at_ms == NOW_MS


def test_an_eleventh_candidate_is_not_looked_at() -> None:
    headers = standard_headers()
    late = " ".join(["v1,AAAA"] * 10 + [headers["webhook-signature"]])
    assert refusal_of(check_standard, headers | {"webhook-signature": late}) == MISMATCH
    assert refusal_of(check_stripe, f"t={NOW_S}" + ",v1=00" * 10 + f",v1={GOOD}") == MISMATCH


def test_a_secret_without_its_padding_is_the_same_secret() -> None:
    """Several senders hand theirs out so, and the library that signs for them adds it."""
    unpadded = OTHER_SECRET.rstrip("=")
    assert unpadded != OTHER_SECRET
    assert check_standard(standard_headers(unpadded), RAW, (unpadded,)).key_id == fingerprint(unpadded)


def test_a_shared_secret_proves_the_sender() -> None:
    assert verify_secret("long and random", ("long and random",)) == Signed(fingerprint("long and random"))


@pytest.mark.parametrize(
    ("presented", "live", "reason"),
    [
        ("", ("s" * 32,), "secret_missing"),
        ("s" * 31, ("s" * 32,), "secret_mismatch"),
        ("s" * 33, ("s" * 32,), "secret_mismatch"),
        ("S" * 32, ("s" * 32,), "secret_mismatch"),
        (LATIN, ("s" * 32,), "secret_mismatch"),
        ("\ud800", ("s" * 32,), "secret_mismatch"),
        ("s" * 5000, ("s" * 32,), "signature_malformed"),
        ("s" * 32, (), "no_secret_configured"),
        ("", (), "secret_missing"),
    ],
)
def test_any_other_shared_secret_is_refused(presented: str, live: tuple[str, ...], reason: str) -> None:
    assert refusal_of(verify_secret, presented, live) == (401, reason)


def test_a_fingerprint_tells_secrets_apart_and_does_not_hold_them() -> None:
    assert fingerprint(SIGNED_SECRET) != fingerprint(OTHER_SECRET)
    assert len(fingerprint(SIGNED_SECRET)) == 8
