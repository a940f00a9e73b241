"""Minimisation: finds values that must never be kept, and takes them out before anything is stored."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import islice

from stdnum import luhn
from stdnum.no import fodselsnummer

from schemas.message import Dropped

IDENTITY = "national_identity_number"
DEPTH_MAX = 64  # deeper than parse_json lets through; below it nothing is looked at, so nothing is kept
REMEMBERED_SIZE_MAX = 100  # characters of a name whose rule is remembered
CANDIDATES_MAX = 5_000  # in one text: 50 KB of nothing but digits

# After folding: a few spaces, dots and hyphens may stand between two digits, and a match begins and ends where
# a run of digits does. So eleven digits inside a longer run are not a match, eleven glued to letters are.
_GAP = r"[\s.\-]{0,3}"
_IDENTITY = re.compile(rf"(?<![0-9])(?=([0-7](?:{_GAP}[0-9]){{10}})(?![0-9]))", re.ASCII)
_CARD = re.compile(rf"(?<![0-9])(?=([2-68](?:{_GAP}[0-9]){{12,18}})(?![0-9]))", re.ASCII)
_DIGITS = re.compile("[0-9]+")
_DAY, _MONTH, _STOP = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:\. |[./ -])"
_DATE = (
    rf"(?<!\d)(?:(?:{_DAY}{_STOP}{_MONTH}|{_MONTH}{_STOP}{_DAY}){_STOP}\d\d(?:\d\d)?"
    rf"|(?:19|20)\d\d[./-]{_MONTH}[./-]{_DAY}|{_DAY}\.? ?[^\W\d]{{3,9}} (?:19|20)\d\d"
    r"|(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)?\d\d)(?!\d)"
)
_BIRTH_WORD = (
    r"\b(?:f(?:ø|oe|o)dt|fødd|född|f(?:ø|oe|o)dsels(?:dato|dag)|bursdag(?:en)?|born|birth ?da(?:y|te)|date of birth"
    r"|d\.?o\.?b)\b"
)
_BIRTH_DATE = re.compile(f"{_BIRTH_WORD}[^0-9]{{0,20}}+{_DATE}", re.IGNORECASE)
# Every script's digits, white space, hyphens and dots to ASCII, invisible characters to a space. Above the range,
# Unicode has no digits and no separators.
_SHAPES = {"Nd": "", "Zs": " ", "Zl": " ", "Zp": " ", "Cf": " ", "Cc": " ", "Pd": "-"}
_FOLDING = {
    code: _SHAPES[kind] or str(unicodedata.decimal(chr(code)))
    for code in range(0x80, 0x20000)
    if (kind := unicodedata.category(chr(code))) in _SHAPES
} | {0x2212: "-", 0x00B7: ".", 0x2022: ".", 0x2024: ".", 0xFF0E: "."}
_PLAIN = {code: None for code in range(0x300, 0x20000) if unicodedata.combining(chr(code))} | {0xF8: "o", 0xE6: "ae"}
_CAMEL, _WORD = re.compile("(?<=[a-z0-9])(?=[A-Z])"), re.compile("[a-z0-9]+")
_SAFE_PART = re.compile(r"[A-Za-z0-9_.-]{1,40}")

# First and last issuer prefix, lengths. Ranges as published by the schemes and collected in Wikipedia's "Payment
# card number"; Maestro's are its whole blocks, UnionPay's second range that of braintree/credit-card-type.
# fmt: off
_ISSUERS = (
    ("4", "4", (13, 16, 19)),                                                              # Visa
    ("51", "55", (16,)), ("2221", "2720", (16,)),                                          # Mastercard
    ("34", "34", (15,)), ("37", "37", (15,)),                                              # American Express
    ("6011", "6011", range(16, 20)), ("644", "659", range(16, 20)),                        # Discover
    ("300", "305", range(14, 20)), ("3095", "3095", range(14, 20)),                        # Diners Club
    ("36", "36", range(14, 20)), ("38", "39", range(14, 20)),
    ("3528", "3589", range(16, 20)),                                                       # JCB
    ("50", "50", range(13, 20)), ("56", "58", range(13, 20)),                              # Maestro
    ("63", "63", range(13, 20)), ("67", "67", range(13, 20)),
    ("62", "62", range(16, 20)), ("8100", "8171", range(16, 20)),                          # UnionPay
)
# fmt: on
_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTH_SHIFTS = (0, 40, 65, 80)  # born here; H-number and NAV's synthetic; two more synthetic series
_KID_NAMES = frozenset({"kid", "kidnr", "kidnummer", "kidnumber"})  # Norwegian invoice reference; ends in Luhn too

# Rule, words, stems. Words and phrases match whole; stems match anywhere once the separators are gone. Art. 9
# data goes by name only: to read it out of free text would be guesswork.
_NAMES = (
    (
        "identity_number_field",
        r"[df]nr|ssn|cpr|n?nin|personnr|pnr|(?:id|d) ?n(?:umme)?r|id ?number",
        r"personnumm|personidentifi|foe?dselsn|nationalid|identi(?:ty|fication)number|socialsecurity|cprn(?:um|r)"
        r"|passport|passn(?:ummer|r)|foe?rerkort|drivers?licen|drivinglicen",
    ),
    (
        "birth_date_field",
        r"[dy]ob|birth|bday|foe?dt|fodd|fdato",
        r"foe?dsel|fodelse|birth[dy]|ofbirth|bursdag|geburt|foe?dt(?:dato|aa?r)",
    ),
    (
        "payment_card_field",
        r"cv[cv]2?|csc|cc ?(?:num(?:ber)?|exp)|card n[or]|security code",
        r"kortn(?:ummer|r)|cardnum|(?:credit|debit)card|(?:kreditt|debet|bank|betalings)kort|cardexp|cardcode"
        r"|sikkerhetskode",
    ),
    (
        "special_category_field",
        r"helse|health|medisin(?:er)?|medicines?|legning|samisk",
        r"helse(?:opplys|tilstand)|health(?:cond|data|info)|diagnos|allerg|sykdom|medisinsk|medication|handikap"
        r"|funksjonsned|disabilit|gravid|pregnan|religio|trossamfunn|ethnic|etnis|fagforening|tradeunion|politisk"
        r"|politicalop|sexual|seksuell|bloo?dtype|genetic|biometri",
    ),
)
_FIELD_RULES = tuple((rule, re.compile(f" (?:{words}) "), re.compile(stems)) for rule, words, stems in _NAMES)


def find_forbidden(text: str) -> str | None:
    """The first rule that `text` breaks: national_identity_number, payment_card_number, birth_date.

    A bare date is no hit; a date just after a word such as `født` is.
    """
    return _find(text, "")


def forbidden_field_name(name: str) -> str | None:
    """identity_number_field, birth_date_field, payment_card_field, special_category_field, or None."""
    return _field_rule(name) if len(name) <= REMEMBERED_SIZE_MAX else _field_rule.__wrapped__(name)


@lru_cache(maxsize=1024)  # a form sends the same names every time
def _field_rule(name: str) -> str | None:
    words = _words(name)
    phrase, joined = f" {' '.join(words)} ", "".join(words)
    for rule, whole, stem in _FIELD_RULES:
        if whole.search(phrase) or stem.search(joined):
            return rule
    return None


def minimise(fields: Mapping[str, str]) -> tuple[dict[str, str], tuple[Dropped, ...]]:
    """The fields that may be kept, and what was dropped for its name or its value: a path that is safe to show."""
    kept: dict[str, str] = {}
    dropped: list[Dropped] = []
    for position, (name, value) in enumerate(fields.items()):
        rule = forbidden_field_name(name) or find_forbidden(name) or _find(value, name)
        if rule is None:
            kept[name] = value
        else:
            dropped.append(Dropped(_path(((name, position),)), rule))
    return kept, tuple(dropped)


def scrub(document: object) -> tuple[object, tuple[Dropped, ...]]:
    """A copy of a parsed JSON document in which `[removed:<rule>]` stands for every forbidden value and key."""
    dropped: list[Dropped] = []
    return _scrub(document, (), dropped), tuple(dropped)


_Trail = tuple[tuple[str | None, int], ...]  # member name (None in a list) and position, from the root


def _scrub(value: object, trail: _Trail, dropped: list[Dropped]) -> object:
    if len(trail) <= DEPTH_MAX:
        if isinstance(value, dict):
            return _scrub_members(value, trail, dropped)
        if isinstance(value, list):
            return [_scrub(item, (*trail, (None, position)), dropped) for position, item in enumerate(value)]
    rule = _scalar_rule(value, next((name for name, _ in reversed(trail) if name is not None), ""))
    return value if rule is None else _removed(rule, trail, dropped)


def _scrub_members(members: Mapping[str, object], trail: _Trail, dropped: list[Dropped]) -> dict[str, object]:
    result: dict[str, object] = {}
    for position, (name, value) in enumerate(members.items()):
        here = (*trail, (name, position))
        key_rule, name_rule = find_forbidden(name), forbidden_field_name(name)
        key = name if key_rule is None else _removed(key_rule, here, dropped)
        while key in result:  # two removed keys, or a key that was sent spelled like one
            key += f"_{position}"
        result[key] = _scrub(value, here, dropped) if name_rule is None else _removed(name_rule, here, dropped)
    return result


def _removed(rule: str, trail: _Trail, dropped: list[Dropped]) -> str:
    dropped.append(Dropped(_path(trail), rule))
    return f"[removed:{rule}]"


def _scalar_rule(value: object, name: str) -> str | None:
    if isinstance(value, str):
        return _find(value, name)
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _number_rule(value, name)
    return "not_json"  # nested too deep, or no JSON at all: what cannot be looked at is not kept


def _number_rule(value: int | float, name: str) -> str | None:
    if not -(10**19) < value < 10**19:  # longer than any card, infinite or no number
        return None
    digits = str(abs(int(value)))
    # A number loses the leading zero of a birth on the 1st to 9th. Only plain months are tried here: with the
    # shifted ones every 30th Unix time would be taken for a person.
    if len(digits) == 10 and int(digits[1:3]) <= 12 and _is_identity_number(f"0{digits}"):
        return IDENTITY
    return _find(digits, name)


def _find(text: str, name: str) -> str | None:
    folded = text if text.isascii() else text.translate(_FOLDING)
    if not _DIGITS.search(folded):
        return None
    if _holds(_IDENTITY, _is_identity_number, folded):
        return IDENTITY
    if _holds(_CARD, _holds_card, folded) and "".join(_words(name)) not in _KID_NAMES:
        return "payment_card_number"
    return "birth_date" if _BIRTH_DATE.search(folded) else None


def _holds(shape: re.Pattern[str], is_hit: Callable[[str], bool], folded: str) -> bool:
    """So many candidates of which none is a hit do not happen: somebody buys time or hides something."""
    found = [match[1] for match in islice(shape.finditer(folded), CANDIDATES_MAX + 1)]
    return len(found) > CANDIDATES_MAX or any(map(is_hit, set(found)))


def _is_identity_number(text: str) -> bool:
    """Fødselsnummer, D-number (day + 40), H-number and synthetic series (month + 40, 65, 80), eleven digits.

    python-stdnum calculates the control digits; its `validate` would refuse the synthetic months and read the
    clock. From 2032 the first control sum may leave 0, 1, 2 or 3 (today only 0), the second stays:
    https://skatteetaten.github.io/folkeregisteret-api-dokumentasjon/nytt-fodselsnummer-fra-2032/
    """
    number = "".join(_DIGITS.findall(text))
    day, month = int(number[:2]), int(number[2:4])
    day -= 40 if day > 40 else 0
    month = next((month - shift for shift in _MONTH_SHIFTS if 1 <= month - shift <= 12), 0)
    if not 1 <= day <= _DAYS[month]:
        return False
    remainder = (int(number[9]) - int(fodselsnummer.calc_check_digit1(number))) % 11
    return remainder <= 3 and number[10] == fodselsnummer.calc_check_digit2(number)


def _holds_card(text: str) -> bool:
    """A card may be followed by its expiry date or CVC, so every end of a run is tried."""
    number = ""
    for run in _DIGITS.findall(text):
        number += run
        if any(
            len(number) in lengths and first <= number[: len(first)] <= last for first, last, lengths in _ISSUERS
        ) and luhn.is_valid(number):
            return True
    return False


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", _CAMEL.sub(" ", name)).casefold()
    return _WORD.findall(plain if plain.isascii() else plain.translate(_PLAIN))


def _path(trail: _Trail) -> str:
    """Names of members, positions in lists; a part that could say something about a person is `field_<n>`."""
    path = ""
    for name, position in trail:
        part = f"{path}.{position if name is None else name}".removeprefix(".")
        is_safe = (name is None or _SAFE_PART.fullmatch(name)) and find_forbidden(part) is None
        path = part if is_safe else f"{path}.field_{position}".removeprefix(".")
    return path
