"""Addresses: what is refused, who is the same person for certain, and who only may be."""

import unicodedata

import pytest
from email_validator import validate_email
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.address import ADDRESS_SIZE_MAX, Address, AddressRefused, is_role_mailbox, parse_address, redact


@pytest.mark.parametrize(
    ("text", "verbatim", "narrow", "wide"),
    [
        ("kari@example.test", "kari@example.test", "kari@example.test", "kari@example.test"),
        (" \t\r\nKari@Example.ORG\n", "Kari@Example.ORG", "kari@example.org", "kari@example.org"),
        ("Kari+Tilbud@example.no", "Kari+Tilbud@example.no", "kari+tilbud@example.no", "kari@example.no"),
        ("a+b+c@example.no", "a+b+c@example.no", "a+b+c@example.no", "a@example.no"),
        ("+tag@example.no", "+tag@example.no", "+tag@example.no", "+tag@example.no"),
        ("k.a.r.i@example.no", "k.a.r.i@example.no", "k.a.r.i@example.no", "k.a.r.i@example.no"),
        ("K.ari+x@GoogleMail.com", "K.ari+x@GoogleMail.com", "k.ari+x@googlemail.com", "kari@gmail.com"),
        ("k.ari@gmail.com", "k.ari@gmail.com", "k.ari@gmail.com", "kari@gmail.com"),
        ("ola@BLÅBÆR.no", "ola@BLÅBÆR.no", "ola@xn--blbr-roah.no", "ola@xn--blbr-roah.no"),
        ("ola@XN--BLBR-ROAH.NO", "ola@XN--BLBR-ROAH.NO", "ola@xn--blbr-roah.no", "ola@xn--blbr-roah.no"),
        ("ola@bla\u030abær.no", "ola@bla\u030abær.no", "ola@xn--blbr-roah.no", "ola@xn--blbr-roah.no"),
        ("ola@straße.example.org", "ola@straße.example.org", *(["ola@xn--strae-oqa.example.org"] * 2)),
        ("ola@ΟΔΟΣ.example.org", "ola@ΟΔΟΣ.example.org", *(["ola@xn--pxavbq.example.org"] * 2)),
        ("Åse@example.org", "Åse@example.org", "Åse@example.org", "åse@example.org"),
        ("A\u030ase@example.org", "A\u030ase@example.org", "Åse@example.org", "åse@example.org"),
        ("T\u0308x@example.org", "T\u0308x@example.org", "\u1e97x@example.org", "\u1e97x@example.org"),
        ("o'neil&x@example.org", "o'neil&x@example.org", "o'neil&x@example.org", "o'neil&x@example.org"),
    ],
)
def test_an_address_has_one_verbatim_one_narrow_and_one_wide_form(
    text: str, verbatim: str, narrow: str, wide: str
) -> None:
    address = parse_address(text)
    assert (address.verbatim, address.narrow, address.wide) == (verbatim, narrow, wide)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "@", "kari", "kari@", "@example.org", "kari@@example.org", "kari@example@example.org", "kari@example",
        "kari@.example.org", "kari@example..org", "kari@example.org.", ".kari@example.org", "kari.@example.org",
        "ka..ri@example.org", "ka ri@example.org", "kari@exam ple.org", "kari@example.org,ola@example.org",
        "kari@example.org;ola@example.org", "Kari <kari@example.org>", "<kari@example.org>",
        '"Kari" <kari@example.org>',
        "mailto:kari@example.org?x", '"kari"@example.org', '"a@b"@example.org', "kari(x)@example.org",
        "kari@[127.0.0.1]",
        "kari@[IPv6:::1]", "kari@127.0.0.1", "kari@localhost", "kari@example.local", "kari@-example.org",
        "kari@example_x.org", "kari@ab--cd.org", "kari@xn--\u00e5.org", "kari@xn--zzzzzzzzzzzz9999999.org",
        "kari\0@example.org", "kari@example.org\0", "kari\n@example.org", "kari@example.org\nBcc: ola@example.org",
        "kari\r\nRCPT TO:<x>@example.org", "\x1b[31mkari@example.org", "kari\u200b@example.org",
        "kari\u202e@example.org",
        "kari@exam\u200bple.org", "kari@exam\u00adple.org", "kari\ufeff@example.org", "\u00a0kari@example.org",
        "kari\uff20example.org", "kari\ufe6bexample.org", "kari\ud800@example.org", "kari@\udfff.org",
        "\u0301kari@example.org", "kari@\u0301example.org", "kari@\u2488com.org",
        "kari@" + "x" * 64 + ".org",
    ],
)  # fmt: skip
def test_what_is_not_one_address_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        parse_address(text)
    assert refused.value.reason == "address_malformed"
    assert str(refused.value) == "address_malformed"
    assert refused.value.__cause__ is refused.value.__context__ is None


@pytest.mark.parametrize("text", ["a" * 1_000_000, "kari@" + "x." * 200 + "org", "k@" * 500])
def test_a_text_longer_than_any_address_is_not_even_read(text: str) -> None:
    with pytest.raises(AddressRefused, match="address_too_long"):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "\u212aari@example.org",  # Kelvin sign: NFC turns it into K
        "kari@\u212aari.example.org",
        "kari@\uff45xample.org",
        "kari@example\u3002org",
        "kari@example\uff0eorg",
        "kari@example\uff61org",
        "kari@o\ufb03ce.example.org",
        "kari@example\u2024org.no",
        "kari@\u017fol.example.org",
        "kari@\u2460.example.org",
        "kari@\u00e5\uff4b.example.org",
        "kari@exam\u034fple.org",
        "kari@exam\ufe0fple.org",
    ],
)
def test_a_letter_that_would_turn_into_another_ones_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        parse_address(text)
    assert refused.value.reason in {"address_look_alike", "address_malformed"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kari@example.org", "k\u0430ri@example.org"),  # Cyrillic a
        ("kari@example.org", "\uff4bari@example.org"),  # full-width k
        ("kari@example.org", "kar\u0131@example.org"),  # dotless i
        ("kari@example.org", "KAR\u0130@example.org"),  # dotted capital i
        ("lasse@example.org", "la\u017f\u017fe@example.org"),  # long s
        ("strasse@example.org", "stra\u00dfe@example.org"),
        ("fili@example.org", "\ufb01li@example.org"),  # ligature
        ("kari@example.org", "kari@ex\u0430mple.org"),
        ("kari@example.org", "kari@e\u0445ample.org"),
        ("kari@github.example.org", "kari@g\u0131thub.example.org"),
        ("åse@example.org", "ase@example.org"),
        ("kari@example.org", "kari+@example.org"),
        ("kari@example.org", "kari@example.com"),
        ("\u03c3@example.org", "\u03c2@example.org"),
        ("åse@example.org", "Åse@example.org"),
    ],
)
def test_look_alikes_never_share_the_narrow_form(one: str, other: str) -> None:
    assert parse_address(one).narrow != parse_address(other).narrow


def test_no_single_letter_of_unicode_is_merged_with_ascii() -> None:
    for code in range(0x80, 0x30000):
        letter = chr(code)
        if any(part.isascii() for part in unicodedata.normalize("NFKD", letter)) or letter.lower().isascii():
            for text in (f"x{letter}x@example.org", f"kari@x{letter}x.org"):
                try:
                    narrow = parse_address(text).narrow
                except AddressRefused:
                    continue
                local, _, domain = narrow.rpartition("@")
                assert not local.isascii() or any(label.startswith("xn--") for label in domain.split("."))


def test_only_the_listed_local_parts_are_role_mailboxes() -> None:
    listed = frozenset({"post", "info"})
    assert is_role_mailbox(parse_address("Post@example.no"), listed)
    assert not is_role_mailbox(parse_address("post.kari@example.no"), listed)
    assert not is_role_mailbox(parse_address("post+kari@example.no"), listed)
    assert not is_role_mailbox(parse_address("p\u043est@example.no"), listed)
    assert not is_role_mailbox(parse_address("kari@post.example.no"), listed)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Kari@example.no", "k***@e***.no"),
        ("k@mail.example.org", "k***@m***.org"),
        ("åse@blåbær.no", "****@x***.no"),
        ("+kari@example.test", "****@e***.test"),
    ],
)
def test_an_operator_sees_two_letters(text: str, shown: str) -> None:
    address = parse_address(text)
    assert redact(address) == shown
    assert repr(address) == f"Address({shown})"


LOCAL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(LOCAL, st.sampled_from(["example.org", "GMAIL.com", "blåbær.no", "Example.Test"]))
def test_both_forms_are_stable_and_in_nfc(local: str, domain: str) -> None:
    try:
        address = parse_address(f"{local}@{domain}")
    except AddressRefused:
        return
    again = parse_address(address.narrow)
    assert (again.narrow, again.wide) == (address.narrow, address.wide)
    assert unicodedata.is_normalized("NFC", address.narrow)
    assert unicodedata.is_normalized("NFC", address.wide)


@given(st.text(max_size=40) | st.text('kari@example.org+. \0<>"\uff20\u0301\u212a', max_size=40))
def test_only_a_refusal_ever_leaves(text: str) -> None:
    outcome: Address | AddressRefused
    try:
        outcome = parse_address(text)
    except AddressRefused as refused:
        outcome = refused
    assert isinstance(outcome, Address) or outcome.reason.startswith("address_")


_LOCAL = st.text("abzAZ09.+_-!#'@ \"(æ", min_size=1, max_size=70)
_LABEL = st.text("abzAZ09-_", min_size=1, max_size=65)
_DOMAIN = st.one_of(
    st.lists(_LABEL, min_size=1, max_size=4).map(".".join),
    st.sampled_from(
        ["example.org", "EXAMPLE.no", "localhost", "x.local", "xn--blbr-roah.no", "1.2.3.4", "[::1]", "a.b1"]
    ),
)


@given(_LOCAL, _DOMAIN)
def test_a_plain_address_is_read_as_the_library_reads_it(local: str, domain: str) -> None:
    """The library is asked about a domain once; what it says of whole addresses decides whether that is enough."""
    text = f"{local}@{domain}"
    assume(text == text.strip())
    try:
        validated = validate_email(text, check_deliverability=False, test_environment=True)
        wanted = f"{validated.local_part}@{validated.ascii_domain}".lower()
    except ValueError:
        wanted = None
    assume(text.isascii() and len(text) <= ADDRESS_SIZE_MAX)
    try:
        found = parse_address(text).narrow
    except AddressRefused:
        found = None
    assert found == wanted
