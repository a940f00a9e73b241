"""Minimisation: identity and card numbers are found however they are written, and only they are.

Every number here is invented: control digits are calculated below, and no card range is a real customer's.
"""

import json
import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.message import Dropped
from schemas.minimise import find_forbidden, forbidden_field_name, minimise, scrub

IDENTITY = "national_identity_number"
CARD = "payment_card_number"


def identity_number(first_nine: str, remainder: int = 0) -> str | None:
    """With both control digits; None where there is none (a control digit would be ten)."""
    total = sum(weight * int(digit) for weight, digit in zip((3, 7, 6, 1, 8, 9, 4, 5, 2), first_nine, strict=True))
    first = (remainder - total) % 11
    total = sum(weight * int(digit) for weight, digit in zip((5, 4, 3, 2, 7, 6, 5, 4, 3), first_nine, strict=True))
    second = -(total + 2 * first) % 11
    return None if 10 in (first, second) else f"{first_nine}{first}{second}"


def some_number(date: str, remainder: int = 0) -> str:
    return next(number for serial in range(999) if (number := identity_number(f"{date}{serial:03}", remainder)))


def card_number(prefix: str, length: int, filler: str = "1") -> str:
    body = prefix + filler * (length - len(prefix) - 1)
    total = sum(sum(divmod(int(digit) * (2 - position % 2), 10)) for position, digit in enumerate(reversed(body)))
    return f"{body}{-total % 10}"


FNR = some_number("010190")
VISA = card_number("4", 16)
MONTHS = ("01", "12", "41", "52", "66", "77", "81", "92")  # plain, + 40, + 65, + 80
DATES = [f"{day}{month}90" for day, month in product(("01", "31", "41", "71"), MONTHS)]
NO_DATES = "000190 320190 400190 720190 010090 011390 015390 017890 019390 300290 310490 711190"


@pytest.mark.parametrize("remainder", [0, 1, 2, 3])
@pytest.mark.parametrize("date", DATES)
def test_it_finds_every_series_under_both_control_rules(date: str, remainder: int) -> None:
    assert find_forbidden(some_number(date, remainder)) == IDENTITY


@pytest.mark.parametrize("remainder", [4, 5, 6, 7, 8, 9, 10])
def test_it_leaves_numbers_whose_first_control_sum_is_wrong(remainder: int) -> None:
    assert find_forbidden(some_number("010190", remainder)) is None


@pytest.mark.parametrize("date", NO_DATES.split())
def test_it_leaves_numbers_that_no_calendar_knows(date: str) -> None:
    assert find_forbidden(some_number(date)) is None


def test_the_29th_of_february_is_possible_because_the_century_is_unknown() -> None:
    assert find_forbidden(some_number("290200")) == IDENTITY


def test_the_second_control_digit_counts() -> None:
    assert [find_forbidden(f"{FNR[:10]}{digit}") for digit in range(10)].count(IDENTITY) == 1


GROUPED = (
    "{0}|fnr{0}|{0}abc|x{0}x|_{0}_|Mitt nummer er {0}.|({0})|ola{0}@example.org|NO-{0}|#{0}#|{1} {2}|{1}.{2}|{1}-{2}"
    "|{1} - {2}|{1}\u00a0{2}|{1}\u202f{2}|{1}\u2009{2}|{1}\u2011{2}|{1}\u2013{2}|{1}\u2212{2}|{1}\n{2}|{1}\t{2}"
    "|{1}\u200b{2}|{1}\u00ad{2}|{1}\ufeff{2}|{1}\u200d{2}|12 {1} {2}|{1} {2} 12|1 {0}|{0} 1|1234567890 {0}|{0}-{0}"
)
APART = "1{0}|{0}1|00{0}00|{1}1 {2}|{1}    {2}|{1}a{2}|{1}/{2}|{1}:{2}|+47{1} {2}"


@pytest.mark.parametrize("pattern", GROUPED.split("|"))
def test_it_finds_the_number_however_it_is_written(pattern: str) -> None:
    assert find_forbidden(pattern.format(FNR, FNR[:6], FNR[6:])) == IDENTITY


def test_it_finds_the_number_written_digit_by_digit() -> None:
    for separator in (" ", ".", "-", "\u00a0", " - ", "\u200b"):
        assert find_forbidden(separator.join(FNR)) == IDENTITY
        assert find_forbidden(separator.join(re.findall("..?", FNR))) == IDENTITY


@pytest.mark.parametrize("zero", ["\uff10", "\u0660", "\u06f0", "\u0966", "\U0001d7ce"])
def test_it_finds_digits_of_every_script(zero: str) -> None:
    assert find_forbidden("".join(chr(ord(zero) + int(digit)) for digit in FNR)) == IDENTITY
    assert find_forbidden("".join(chr(ord(zero) + int(digit)) for digit in VISA)) == CARD


@pytest.mark.parametrize("pattern", APART.split("|"))
def test_eleven_digits_inside_a_longer_run_or_apart_are_no_match(pattern: str) -> None:
    assert find_forbidden(pattern.format(FNR, FNR[:6], FNR[6:])) is None


ISSUED = (
    "4:13 4:16 4:19 51:16 55:16 2221:16 2720:16 34:15 37:15 6011:16 6011:19 644:16 649:16 65:16 300:14 305:16 "
    "3095:14 36:14 36:19 38:16 39:14 3528:16 3589:19 5018:13 5020:16 5893:18 6304:19 6759:16 6761:17 62:16 62:19 "
    "8171:16"
)
NEVER_ISSUED = (
    "4:14 4:15 4:17 50:12 51:15 2220:16 2721:16 34:16 35:15 3527:16 3590:16 306:14 "
    "6012:16 643:16 660:16 1:16 7:16 9:16 0:16 4:20 60:16 8172:16 62:15"
)


@pytest.mark.parametrize("card", ISSUED.split())
def test_it_finds_cards_of_every_issuer(card: str) -> None:
    prefix, _, length = card.partition(":")
    assert find_forbidden(card_number(prefix, int(length))) == CARD


@pytest.mark.parametrize("card", NEVER_ISSUED.split())
def test_it_leaves_prefixes_and_lengths_that_nobody_issues(card: str) -> None:
    prefix, _, length = card.partition(":")
    assert find_forbidden(card_number(prefix, int(length), filler="0")) is None


def test_the_luhn_digit_counts() -> None:
    assert [find_forbidden(f"{VISA[:15]}{digit}") for digit in range(10)].count(CARD) == 1


CARDS = (
    "{0}|kort{0}|{1} {2} {3} {4}|{1}-{2}-{3}-{4}|{1}.{2}.{3}.{4}|{1}\u00a0{2}\u00a0{3}\u00a0{4}|{1} {2} {3} {4} 12/29"
    "|{1} {2} {3} {4} 123|kl 12 {0}|12 {1} {2} {3} {4}|{0} 11"
)


@pytest.mark.parametrize("pattern", CARDS.split("|"))
def test_it_finds_the_card_however_it_is_written(pattern: str) -> None:
    assert find_forbidden(pattern.format(VISA, VISA[:4], VISA[4:8], VISA[8:12], VISA[12:])) == CARD


@pytest.mark.parametrize(
    "text", ["1" + VISA, VISA + "1", card_number("4", 19) + "1", VISA[:8] + "x" + VISA[8:], "4" * 40]
)
def test_a_card_inside_a_longer_run_is_no_match(text: str) -> None:
    assert find_forbidden(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "Kari Nordmann", "22334455", "+47 912 34 567", "0047 91 23 45 67", "923 609 016", "2026-11-23 01:25:45",
        "2026-11-23T01:25:45.123456Z", "23.11.2026", "01.01.1990", "1790000000", "1790000000123", "127.0.0.1",
        "evt_1NG8Du2eZvKYlo2CUI79vXWy", "b9d2cc77962e122c700637394d20f1ec", "WordPress/6.8.12; https://example.org",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "59.913868, 10.752245", "kr 1.250.000,00", "Postboks 123, 0150 Oslo",
        "født i Oslo", "Born in Bergen, tel 22 33 44 55", "1 2 3 4 5 6 7 8 9 10", "0" * 11, "1" * 16,
    ],
)  # fmt: skip
def test_it_leaves_what_people_and_programs_ordinarily_write(text: str) -> None:
    assert find_forbidden(text) is None


BIRTHS = (
    "Født 01.02.1990|fødselsdato: 1990-02-01|f\u00f8dt den 1. mai 1990|DOB 2/1/90|d.o.b. 01-02-1990|født 1. 2. 1990"
    "|I was born on 1990/02/01|bursdag 010290|date of birth = 12/31/1990|Født \uff10\uff11.02.1990"
)


@pytest.mark.parametrize("text", BIRTHS.split("|"))
def test_a_date_just_after_a_word_for_birth_is_a_birth_date(text: str) -> None:
    assert find_forbidden(text) == "birth_date"


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("birth_date_field", "fodselsdato Fødselsdato FØDSELSDATO foedselsdato fodsels-dato Født fodt_dato fødselsår"),
        ("birth_date_field", "dob DOB userDOB birthday your-birthday billing_birth_date dateOfBirth date-of-birth"),
        ("birth_date_field", "bursdag Bursdag* fields[birth][value] födelsedatum Geburtsdatum fo\u0308dd født-når"),
        ("birth_date_field", "fødsels\u200bdato \uff44\uff4f\uff42 birthYear"),
        ("identity_number_field", "personnummer Personnr. fnr FNR fødselsnummer fodselsnr foedselsnummer ssn d-nummer"),
        ("identity_number_field", "D_nr dnr id-nummer idNumber social_security_number national-id passport user.fnr"),
        (
            "payment_card_field",
            "kortnummer Kortnr cardnumber card-number cardNumber card[number] creditCard cvc CVV cvv2",
        ),
        ("payment_card_field", "cc_number ccnum card_exp sikkerhetskode billing_cvc kredittkort"),
        ("special_category_field", "helse health helseopplysninger health-condition diagnose allergier medisin gravid"),
        ("special_category_field", "religion etnisitet fagforening trade_union seksuell_legning handikap"),
    ],
)
def test_it_knows_the_names_of_fields_that_must_not_be_asked_for(rule: str, names: str) -> None:
    assert {name: forbidden_field_name(name) for name in names.split()} == dict.fromkeys(names.split(), rule)


def test_it_leaves_ordinary_field_names() -> None:
    names = (
        "email your-email E-Mail first_name 1.3 5.1 company firma consent gdpr-consent newsletter topics form_id "
        "entry_id id created date_created kundenummer ordrenummer kundnummer kid adobe card card.last4 phone medlem "
        "pass passord source_url user_agent _remote_ip amount_total message barn børn country healthy description idle"
    )
    hits = {name: rule for name in names.split() if (rule := forbidden_field_name(name))}
    assert hits == {}


def test_minimise_keeps_the_rest_and_names_what_it_dropped() -> None:
    fields = {
        "email": "kari@example.org",
        "Fødselsdato": "",
        "message": f"mitt nummer er {FNR[:6]} {FNR[6:]}",
        "card": VISA,
        f"note {FNR}": "hei",
        "kari@example.org": VISA,
        "company": "Eksempel AS",
    }
    kept, dropped = minimise(fields)
    assert kept == {"email": "kari@example.org", "company": "Eksempel AS"}
    assert dropped == (
        Dropped("field_1", "birth_date_field"),
        Dropped("message", IDENTITY),
        Dropped("card", CARD),
        Dropped("field_4", IDENTITY),
        Dropped("field_5", CARD),
    )


@pytest.mark.parametrize("name", ["kid", "KID", "KID-nummer", "kidnr"])
def test_a_kid_may_look_like_a_card_but_not_hold_an_identity_number(name: str) -> None:
    assert minimise({name: VISA}) == ({name: VISA}, ())
    assert scrub({"invoice": {name: [VISA, int(VISA)]}})[1] == ()
    assert minimise({name: FNR})[0] == {}
    assert minimise({f"{name}x": VISA})[0] == {}


def test_scrub_replaces_strings_numbers_members_and_keys_wherever_they_are() -> None:
    fnr = some_number("310190")
    document = {
        "id": 17,
        "nested": [{"text": f"x{FNR}x"}, [True, None, 2.5, int(fnr), float(VISA), -int(VISA)]],
        FNR: {"deep": VISA},
        f"a {FNR}": 1,
        "fodselsdato": {"day": 1, "month": 2},
        "created": 1790000000,
    }
    clean, dropped = scrub(document)
    gone, card = f"[removed:{IDENTITY}]", f"[removed:{CARD}]"
    assert clean == {
        "id": 17,
        "nested": [{"text": gone}, [True, None, 2.5, gone, card, card]],
        gone: {"deep": card},
        f"{gone}_3": 1,
        "fodselsdato": "[removed:birth_date_field]",
        "created": 1790000000,
    }
    assert [item.field for item in dropped] == [
        "nested.0.text", "nested.1.3", "nested.1.4", "nested.1.5", "field_2", "field_2.deep", "field_3", "fodselsdato",
    ]  # fmt: skip
    assert document["nested"] == [{"text": f"x{FNR}x"}, [True, None, 2.5, int(fnr), float(VISA), -int(VISA)]]


def test_a_number_that_lost_its_leading_zero_is_still_found() -> None:
    assert scrub({"value": int(FNR)})[0] == {"value": f"[removed:{IDENTITY}]"}
    assert scrub([some_number("310190")[:10], 10**400, -(10**400), 1e300, float("inf"), float("nan")])[1] == ()


def test_unix_times_are_not_taken_for_people() -> None:
    for start in (1_415_000_000, 1_790_000_000, 1_815_000_000):
        assert scrub(list(range(start, start + 300)))[1] == ()


def test_a_removed_key_never_overwrites_another() -> None:
    gone = f"[removed:{IDENTITY}]"
    clean, _ = scrub({FNR: 1, f"{FNR} ": 2, gone: "a literal", f"{gone}_1": "another"})
    assert isinstance(clean, dict)
    assert len(clean) == 4
    assert list(clean.values())[:2] == [1, 2]


def test_a_path_cannot_spell_the_number_that_was_removed() -> None:
    _, dropped = scrub({FNR[:6]: {FNR[6:]: VISA}})
    assert dropped == (Dropped(f"{FNR[:6]}.field_0", CARD),)
    _, dropped = scrub(
        {"x" * 41: VISA, "a b": VISA, "<script>": VISA, "": VISA, "å": VISA, "a@b": VISA, "ok-1.x_Y": VISA}
    )
    assert [item.field for item in dropped] == [*(f"field_{position}" for position in range(6)), "ok-1.x_Y"]


def test_what_is_nested_too_deep_or_is_no_json_is_not_kept() -> None:
    document: object = "secret"
    for _ in range(5000):
        document = [document]
    assert "secret" not in json.dumps(scrub(document)[0])
    assert scrub({"a": b"secret"})[0] == {"a": "[removed:not_json]"}
    assert scrub(VISA) == (f"[removed:{CARD}]", (Dropped("", CARD),))


def test_thousands_of_near_misses_are_taken_for_what_they_imitate() -> None:
    misses = (f"4111{number:012}" for number in range(10_000))
    text = " x ".join(miss for miss in misses if find_forbidden(miss) is None)
    assert find_forbidden(text) == CARD
    assert find_forbidden(text[:10_000]) is None


NUMBERS = st.builds(
    some_number,
    st.builds("{:02}{:02}{:02}".format, st.integers(1, 28), st.integers(1, 12), st.integers(0, 99)),
    st.integers(0, 3),
)
AROUND = st.text(st.characters(exclude_categories=["Nd", "Cs"]), max_size=8)
PARTS = st.sampled_from(["a", "kid", "x y", FNR, VISA, "é", "born", "1"]) | st.text(max_size=6)
DOCUMENTS = st.recursive(
    PARTS | NUMBERS | st.integers(-(2**63), 2**63) | st.floats() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PARTS, inner, max_size=3),
    max_leaves=10,
)


@given(AROUND, NUMBERS, AROUND, st.sampled_from(["", " ", ".", "-", "\u00a0", "\u2011"]), st.integers(1, 10))
def test_no_surroundings_hide_a_number(before: str, number: str, after: str, separator: str, cut: int) -> None:
    assert find_forbidden(f"{before}{number[:cut]}{separator}{number[cut:]}{after}") == IDENTITY


@given(DOCUMENTS)
def test_a_scrubbed_document_is_clean_and_its_report_says_nothing(document: object) -> None:
    clean, dropped = scrub(document)
    # Only our own marker may look forbidden the second time, as the name of a member.
    assert all(item.rule.endswith("_field") for item in scrub(clean)[1])
    for item in dropped:
        assert re.fullmatch(r"[A-Za-z0-9_.-]*", item.field)
        assert find_forbidden(item.field) is None


@given(st.dictionaries(PARTS, PARTS | NUMBERS, max_size=5))
def test_minimised_fields_are_clean(fields: dict[str, str]) -> None:
    kept, dropped = minimise(fields)
    assert minimise(kept) == (kept, ())
    assert len(kept) + len(dropped) == len(fields)
    assert all(fields[name] == value for name, value in kept.items())


def test_random_eleven_digits_are_seldom_taken_for_a_person() -> None:
    # Four remainders of eleven, one second digit of eleven, and the share of plausible dates: about one in a hundred.
    hits = sum(find_forbidden(f"{number * 7_919_317 % 10**11:011}") == IDENTITY for number in range(20_000))
    assert 100 < hits < 400
