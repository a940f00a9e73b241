"""The Authentication-Results header field (RFC 8601, 2.2): what the receiving server found out about a sender."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

FIELD_SIZE_MAX = 16_384  # characters; Google's own are below 2,000

# RFC 8601, 2.2 and RFC 2045, 5.1: a token is anything printable but these; a value may be an address too.
_SPECIALS = r'()<>,;:\\"/\[\]?='
_WORD = re.compile(rf'"((?:[^"\\\r\n]|\\.)*)"|([^\s{_SPECIALS}]+)')
_PVALUE = re.compile(r'"((?:[^"\\\r\n]|\\.)*)"|([^\s();"]+)')
_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
_PROPERTY = re.compile(r"([A-Za-z0-9-]+)\s*\.\s*([A-Za-z0-9_-]+)")
_VERSION = re.compile(r"[0-9]+")
_SPACE = re.compile(r"\s*")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method and its result, lower case; `properties`: `header.from` -> value as it stands."""

    method: str
    result: str
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """`server`: the authserv-id, lower case: who says so."""

    server: str
    results: tuple[MethodResult, ...]


class _Malformed(Exception):
    """Not what the grammar says."""


def parse_authentication_results(text: str) -> AuthenticationResults | None:
    """None for anything outside the grammar: what cannot be read proves nothing."""
    if len(text) > FIELD_SIZE_MAX:
        return None
    try:
        return _Reader(_without_comments(text)).field()
    except _Malformed:
        return None


def _without_comments(text: str) -> str:
    """Comments (RFC 5322, 3.2.2) may stand between any two words, nested; in quotes they are none."""
    kept, depth, quoted, escaped = [], 0, False, False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == "\\" and (quoted or depth):
            escaped = True
        elif letter == '"' and not depth:
            quoted = not quoted
        elif letter == "(" and not quoted:
            depth += 1
        elif letter == ")" and not quoted:
            depth -= 1
            letter = " "  # what a comment separated stays apart
            if depth < 0:
                raise _Malformed
        if depth == 0:
            kept.append(letter)
    if depth or quoted:
        raise _Malformed
    return "".join(kept)


class _Reader:
    """Reads the field from left to right; every step either moves on or gives up."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def field(self) -> AuthenticationResults:
        server = self._match(_WORD)
        if self._peek() not in (";", "") and self._match(_WORD) != "1":  # authres-version
            raise _Malformed
        results: list[MethodResult] = []
        while self._peek() == ";":
            self._take(";")
            if self._peek() == "":
                break  # a last semicolon, which some write and RFC 8601 does not
            result = self._result()
            if result is not None:
                results.append(result)
        if self._peek():
            raise _Malformed
        return AuthenticationResults(server.lower(), tuple(results))

    def _result(self) -> MethodResult | None:
        """`method[/version] = result [reason = ...] *(ptype.property = value)`; or `none`, which says nothing."""
        method = self._match(_KEYWORD).lower()
        if method == "none" and self._peek() in (";", ""):
            return None
        if self._peek() == "/":
            self._take("/")
            self._match(_VERSION)
        self._take("=")
        result = self._match(_KEYWORD).lower()
        properties: dict[str, str] = {}
        while self._peek() not in (";", ""):
            name, value = self._pair()
            if name in properties:
                raise _Malformed  # two answers to one question
            properties[name] = value
        return MethodResult(method, result, properties)

    def _pair(self) -> tuple[str, str]:
        self._skip()
        found = _PROPERTY.match(self._text, self._at)
        name = self._match(_PROPERTY if found else _KEYWORD).lower()
        if not found and name not in ("reason", "action"):
            raise _Malformed
        self._take("=")
        return re.sub(r"\s", "", name), self._match(_PVALUE)

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _peek(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _take(self, letter: str) -> None:
        if self._peek() != letter:
            raise _Malformed
        self._at += 1

    def _match(self, pattern: "re.Pattern[str]") -> str:
        self._skip()
        found = pattern.match(self._text, self._at)
        if found is None or found.end() == found.start():
            raise _Malformed
        self._at = found.end()
        quoted = found.groups()[0] if pattern in (_WORD, _PVALUE) else None
        return found[0] if quoted is None else _ESCAPED.sub(r"\1", quoted)
