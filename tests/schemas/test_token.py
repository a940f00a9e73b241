"""Link tokens: one spelling, one key each, and no token but ours is believed."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.token import TokenRefused, format_token, parse_token

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
LINK_ID = bytes(range(16))
TOKEN = format_token(version=1, key_id=7, link_id=LINK_ID, mac_key=KEY)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def forged(header: bytes, key: bytes = KEY) -> str:
    return encode(header + hmac.new(key, b"samtykke/link-token\0" + header, hashlib.sha256).digest()[:16])


@given(st.integers(0, 255), st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=64))
def test_a_token_gives_back_its_link_id(key_id: int, link_id: bytes, key: bytes) -> None:
    token = format_token(key_id=key_id, link_id=link_id, mac_key=key)
    assert parse_token(token, {key_id: key}) == link_id
    assert len(token) == 46


def test_the_layout_is_the_documented_one() -> None:
    assert forged(bytes((1, 7)) + LINK_ID) == TOKEN


def test_one_byte_changed_anywhere_is_refused() -> None:
    data = base64.urlsafe_b64decode(TOKEN + "==")
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(TokenRefused):
            parse_token(encode(bytes(changed)), {7: KEY, 6: KEY})


def test_the_last_character_has_no_second_spelling() -> None:
    accepted = []
    for letter in ALPHABET:
        try:
            parse_token(TOKEN[:-1] + letter, {7: KEY})
        except TokenRefused:
            continue
        accepted.append(letter)
    assert accepted == [TOKEN[-1]]


@pytest.mark.parametrize(
    "text",
    [
        "", "A", TOKEN[:-1], TOKEN + "A", TOKEN + "=", TOKEN + "==", TOKEN + "\n", " " + TOKEN, TOKEN + "\0",
        TOKEN[:20] + "+" + TOKEN[21:], TOKEN[:20] + "/" + TOKEN[21:], TOKEN[:20] + "\n" + TOKEN[21:],
        TOKEN[:20] + "\uff21" + TOKEN[21:], TOKEN[:20] + "\u0430" + TOKEN[21:], TOKEN[:20] + "\ud800" + TOKEN[21:],
        TOKEN[:20] + "%41" + TOKEN[21:], "A" * 100_000, forged(bytes((0, 7)) + LINK_ID),
        forged(bytes((2, 7)) + LINK_ID),
    ],
)  # fmt: skip
def test_another_shape_spelling_or_version_is_malformed(text: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        parse_token(text, {7: KEY})
    assert refused.value.reason == "token_malformed"


def test_an_unknown_key_a_retired_key_and_a_wrong_mac_look_the_same() -> None:
    reasons = set()
    for keys in ({}, {8: KEY}, {7: OTHER_KEY}):
        with pytest.raises(TokenRefused) as refused:
            parse_token(TOKEN, keys)
        reasons.add((refused.value.reason, str(refused.value)))
    assert reasons == {("token_not_ours", "token_not_ours")}


@pytest.mark.parametrize("key", [bytes(32), b""])
def test_an_unknown_key_id_cannot_be_forged_with_a_guessable_key(key: bytes) -> None:
    with pytest.raises(TokenRefused, match="token_not_ours"):
        parse_token(forged(bytes((1, 9)) + LINK_ID, key), {7: KEY})


def test_a_mac_made_for_something_else_with_the_same_key_is_refused() -> None:
    header = bytes((1, 7)) + LINK_ID
    with pytest.raises(TokenRefused, match="token_not_ours"):
        parse_token(encode(header + hmac.new(KEY, header, hashlib.sha256).digest()[:16]), {7: KEY})


def test_several_keys_live_side_by_side_while_they_rotate() -> None:
    newer = format_token(key_id=8, link_id=LINK_ID, mac_key=OTHER_KEY)
    keys = {7: KEY, 8: OTHER_KEY}
    assert parse_token(TOKEN, keys) == parse_token(newer, keys) == LINK_ID


@pytest.mark.parametrize(
    ("version", "key_id", "link_id", "mac_key"),
    [
        (0, 7, LINK_ID, KEY),
        (1, -1, LINK_ID, KEY),
        (1, 256, LINK_ID, KEY),
        (1, 7, LINK_ID[1:], KEY),
        (1, 7, LINK_ID, b""),
    ],
)
def test_our_own_mistakes_are_value_errors(version: int, key_id: int, link_id: bytes, mac_key: bytes) -> None:
    with pytest.raises(ValueError, match="has"):
        format_token(version=version, key_id=key_id, link_id=link_id, mac_key=mac_key)


def test_a_keyring_with_an_empty_key_is_not_silently_used() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        parse_token(TOKEN, {7: b""})


@given(st.text(max_size=60) | st.text(ALPHABET, min_size=46, max_size=46))
def test_no_other_text_is_ever_believed(text: str) -> None:
    with pytest.raises(TokenRefused):
        parse_token(text, {7: KEY, 0: OTHER_KEY})
