"""Own words: what a person wrote at the top of a mail, without what is quoted, forwarded or below the greeting."""

import binascii
import re
import unicodedata
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any

LINES_MAX, TEXT_SIZE_MAX, HTML_SIZE_MAX = 12, 20_000, 60_000  # whoever wants to be understood says it at the top
PARTS_MAX, DEPTH_MAX = 20, 8

# From here on it is somebody else's text: how mail programs begin a quotation or a forwarded mail.
_QUOTES = re.compile(
    r"""
      >                                                       # RFC 3676, 4.5
    | -{2,}\s*$ | --\ $                                       # RFC 3676, 4.3: a signature
    | [-_*=]{5,}
    | -+\s*(?:original|opprinnelig|forwarded|videresendt)\b
    | (?:begin\ forwarded\ message|videresendt\ melding)\b
    | (?:on|den|på|man|tir|ons|tor|fre|lør|søn)\b.*(?:\b(?:wrote|skrev|skreiv)\b|\d.*[<@])
    | (?:from|fra|frå|sent|sendt|date|dato|to|til|subject|emne)\s*:\s
    | (?:sendt|sent)\ (?:fra|frå|from|med|via)\s
    | (?:hent|få|get)\ outlook\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
# After this comes a name, an address, a slogan.
_GREETING_BELOW = re.compile(
    r"(?:(?:med )?(?:vennlig|venleg|beste?|kjær|varm)e? hils(?:en|ing)(?:er|ar)?|hilsen|helsing|m\.?v\.?h|vh|"
    r"(?:(?:kind|best|warm)(?:est)? )?regards|sincerely|yours|cheers|br)\b[\s,.!]*.{0,40}",
    re.IGNORECASE,
)
_BLOCKS = frozenset({"br", "p", "div", "li", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "hr"})
_NEVER_READ = ("style", "script", "title")
_TAG = re.compile(r"<!--|</?(?P<name>[A-Za-z][A-Za-z0-9]*+)[^<>]*+>|<[!?/][^<>]*+>")
_TEXT = re.compile(r".[^<]*+", re.DOTALL)
_END_OF_COMMENT = re.compile("-->")
_END_OF = {name: re.compile(f"</{name}[^<>]*+>", re.IGNORECASE) for name in _NEVER_READ}
# Classes and ids by which mail programs mark what is not the sender's own.
_QUOTING = ("gmail_quote", "gmail_signature", "moz-cite-prefix", "moz-signature", "yahoo_quoted", "divRplyFwdMsg")


def own_lines(text: str) -> list[str]:
    """The first lines of a text that are the sender's own, each without white space around it."""
    lines: list[str] = []
    for raw in _plain(text[:TEXT_SIZE_MAX]).splitlines():
        line = raw.strip()
        if _QUOTES.match(line) or _GREETING_BELOW.fullmatch(line) or len(lines) == LINES_MAX:
            break
        if line:
            lines.append(line)
    return lines


def _plain(text: str) -> str:
    """One spelling for what looks the same (UAX 15), and nothing that cannot be seen."""
    folded = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
    return "".join(letter for letter in folded if unicodedata.category(letter) != "Cf")


def read_text(payload: Mapping[str, Any]) -> str:
    """The text of Gmail's MessagePart: the first plain one, else the first HTML one, else nothing.

    https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages#Message.MessagePart
    """
    found: dict[str, str] = {}
    for part in _inline_parts(payload):
        found.setdefault(str(part.get("mimeType")), _decoded(part))
    if found.get("text/plain", "").strip():
        return found["text/plain"]
    return _text_of_html(found.get("text/html", "")[:HTML_SIZE_MAX])


def _inline_parts(payload: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """In order, without attachments and attached mails."""
    if not isinstance(payload, Mapping) or depth > DEPTH_MAX or payload.get("filename"):
        return
    kind = payload.get("mimeType")
    if kind in ("text/plain", "text/html"):
        yield payload
    parts = payload.get("parts")
    if isinstance(parts, list) and str(kind).startswith("multipart/"):
        for part in parts[:PARTS_MAX]:
            yield from _inline_parts(part, depth + 1)


def _decoded(part: Mapping[str, Any]) -> str:
    body = part.get("body")
    data = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(data, str):
        return ""
    try:
        return urlsafe_b64decode(data + "=" * (-len(data) % 4)).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _text_of_html(html: str) -> str:
    """Lines as a reader sees them, up to the first quotation. In one pass: the library's parser needs half a minute
    for 60 KB of `<a <a <a`, and fails on `<![<!`."""
    words: list[str] = []
    at = 0
    while at < len(html):
        tag = _TAG.match(html, at)
        if tag is None:
            text = _TEXT.match(html, at)
            assert text is not None
            words.append(re.sub(r"\s+", " ", unescape(text[0])))
            at = text.end()
            continue
        name = (tag["name"] or "").lower()
        if name == "blockquote" or any(mark in tag[0] for mark in _QUOTING):
            break
        words.append("\n" if name in _BLOCKS else "")
        at = tag.end()
        if tag[0] == "<!--" or (
            name in _NEVER_READ and tag[0][1] != "/"
        ):  # what is in it is not shown; without an end, nothing more is
            end = _END_OF.get(name, _END_OF_COMMENT).search(html, at)
            at = end.end() if end else len(html)
    return "".join(words)
