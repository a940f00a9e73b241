"""Canaries: values that stand for a person or a secret, and every way in which one of them could be written down."""

import base64
import html
import json
import quopri
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from stdnum import luhn
from stdnum.no import fodselsnummer

FORM_SIZE_MIN_BYTES = 8  # anything shorter turns up by chance
UNPACKED_SIZE_MAX_BYTES = 1_000_000
# zlib's header by level, and gzip's (RFC 1950, 2.2; RFC 1952, 2.3.1).
PACKED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
BASE64_RUN = re.compile(rb"[A-Za-z0-9+/]{24,}|[A-Za-z0-9_-]{24,}")
URL_SAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Needle:
    """One canary. `folded` forms are compared in lower case, `exact` ones as they are."""

    name: str
    folded: frozenset[bytes]
    exact: frozenset[bytes]

    def is_in(self, data: bytes, lowered: bytes) -> bool:
        return any(form in lowered for form in self.folded) or any(form in data for form in self.exact)


def needle(name: str, *spellings: str) -> Needle:
    folded: set[bytes] = set()
    exact: set[bytes] = set()
    for text in spellings:
        folded |= {form.lower() for form in _texts(text)}
        exact |= set(_base64_forms(text.encode()))
    return Needle(name, _long(folded), _long(exact))


def _long(forms: set[bytes]) -> frozenset[bytes]:
    return frozenset(form for form in forms if len(form) >= FORM_SIZE_MIN_BYTES)


def _texts(text: str) -> Iterator[bytes]:
    raw = text.encode()
    yield raw
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")
    yield text.encode("latin-1", "replace")
    yield quote(text, safe="").encode()
    yield quote_plus(text).encode()
    yield "".join(f"%{byte:02x}" for byte in raw).encode()
    yield json.dumps(text)[1:-1].encode()
    yield html.escape(text).encode()
    yield quopri.encodestring(raw)
    yield raw.hex().encode()
    yield repr(raw)[2:-1].encode()


def _base64_forms(raw: bytes) -> Iterator[bytes]:
    """The characters that do not depend on what stands before and after, at each of the three alignments."""
    for lead in range(3):
        padded = bytes(lead) + raw
        whole = len(padded) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(padded)[(0, 2, 3)[lead] : whole]


def unpacked(data: bytes) -> Iterator[bytes]:
    """The data, what is compressed in it, and what base64 in it hides, compressed or not."""
    yield data
    yield from _inflated(data)
    for run in BASE64_RUN.findall(data):
        plain = run.translate(URL_SAFE)
        yield from _inflated(base64.b64decode(plain[: len(plain) // 4 * 4]))


def _inflated(data: bytes) -> Iterator[bytes]:
    for match in PACKED.finditer(data):
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            found = inflater.decompress(data[match.start() :], UNPACKED_SIZE_MAX_BYTES)
        except zlib.error:
            continue
        if found:
            yield found


def search(sinks: Iterable[tuple[str, bytes]], needles: Iterable[Needle]) -> list[str]:
    """`place: needle` for each that was found. This is the oracle; a control test shows that it bites."""
    wanted = tuple(needles)
    found = set()
    for place, content in sinks:
        for data in unpacked(content):
            lowered = data.lower()
            found |= {f"{place}: {one.name}" for one in wanted if one.is_in(data, lowered)}
    return sorted(found)


def identity_number(day: int, month: int = 3, year: int = 84) -> str:
    """A valid one, of nobody: the control digits are the Tax Administration's, by python-stdnum."""
    for individual in range(499, 0, -1):
        nine = f"{day:02}{month:02}{year:02}{individual:03}"
        ten = nine + fodselsnummer.calc_check_digit1(nine + "00")
        eleven = ten + fodselsnummer.calc_check_digit2(ten + "0")
        if eleven.isdigit():
            return eleven
    raise AssertionError("no such number")


def card_number(prefix: str, size: int) -> str:
    body = prefix.ljust(size - 1, "7")
    return body + luhn.calc_check_digit(body)


def spaced(digits: str, *widths: int) -> str:
    parts, start = [], 0
    for width in widths:
        parts.append(digits[start : start + width])
        start += width
    return " ".join(parts)
