"""Requests that two programs could read as two different ones, or none, byte by byte; and what they may be answered."""

from tests.world import FORM_SECRET

PATH = b"/webhooks/forms/newsletter-contact-form-7"
BODY = b'{"your-email": "kari@example.test", "gdpr-consent": "1"}'
TOKEN = b"X-Gdpr-Token: " + FORM_SECRET.encode() + b"\r\n"
JSON = b"Content-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"  # answered 200 if anybody takes it for a request
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
OK, BAD, CUT = {200}, {400}, {400}


def post(*headers: bytes, body: bytes = BODY, line: bytes = b"POST " + PATH + b" HTTP/1.1\r\n") -> bytes:
    """An authentic form submission but for what is odd about it."""
    return line + b"Host: x\r\n" + JSON + TOKEN + b"".join(headers) + b"\r\n" + body


def chunks(*parts: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + end


GOOD = chunks(BODY[:10], BODY[10:])
# What is sent -> the statuses that it may be answered with. Everything is one request, whatever follows it.
FRAMINGS: dict[str, tuple[bytes, set[int]]] = {
    # Lengths
    "a length": (post(LENGTH), OK),
    "chunks": (post(CHUNKED, body=GOOD), OK),
    "length and chunks": (post(LENGTH, CHUNKED, body=GOOD + SMUGGLED), BAD),
    "chunks and length": (post(CHUNKED, b"Content-Length: 5\r\n", body=GOOD + SMUGGLED), BAD),
    "two lengths": (post(LENGTH, b"Content-Length: 5\r\n", body=BODY + SMUGGLED), BAD),
    "twice the same length": (post(LENGTH, LENGTH, body=BODY + SMUGGLED), BAD),
    "lengths in one": (post(b"Content-Length: 56, 56\r\n", body=BODY + SMUGGLED), BAD),
    "a length with a sign": (post(b"Content-Length: +56\r\n", body=BODY + SMUGGLED), BAD),
    "a negative length": (post(b"Content-Length: -1\r\n", body=BODY + SMUGGLED), BAD),
    "a length in hex": (post(b"Content-Length: 0x38\r\n", body=BODY + SMUGGLED), BAD),
    "a length in other digits": (post(b"Content-Length: \xb2\r\n", body=BODY + SMUGGLED), BAD),
    "a length with an underscore": (post(b"Content-Length: 5_6\r\n", body=BODY + SMUGGLED), BAD),
    "an empty length": (post(b"Content-Length:\r\n", body=BODY + SMUGGLED), BAD),
    "a space before the colon": (post(b"Content-Length : 56\r\n", body=BODY + SMUGGLED), BAD),
    "a tab before the colon": (post(b"Transfer-Encoding\t: chunked\r\n", body=GOOD + SMUGGLED), BAD),
    "a length too large for us": (post(b"Content-Length: 999999999\r\n"), {413}),
    "a length too large for anybody": (post(b"Content-Length: " + b"9" * 30 + b"\r\n"), {413}),
    "a length of 5,000 digits": (post(b"Content-Length: " + b"9" * 5000 + b"\r\n"), BAD),
    "a length that is not kept": (post(b"Content-Length: 5000\r\n"), CUT),
    "a body without a length": (post(body=b""), BAD),
    # Codings
    "chunked twice": (post(CHUNKED, CHUNKED, body=GOOD + SMUGGLED), BAD),
    "chunked in a list, twice": (post(b"Transfer-Encoding: chunked, chunked\r\n", body=GOOD + SMUGGLED), BAD),
    "identity": (post(b"Transfer-Encoding: identity\r\n", body=BODY + SMUGGLED), BAD),
    "gzip": (post(b"Transfer-Encoding: gzip, chunked\r\n", body=GOOD + SMUGGLED), BAD),
    "an unknown coding": (post(b"Transfer-Encoding: xchunked\r\n", body=GOOD + SMUGGLED), BAD),
    "chunked in quotes": (post(b'Transfer-Encoding: "chunked"\r\n', body=GOOD + SMUGGLED), BAD),
    "a vertical tab": (post(b"Transfer-Encoding:\x0bchunked\r\n", body=GOOD + SMUGGLED), BAD),
    "a coding on a folded line": (post(b"Transfer-Encoding:\r\n chunked\r\n", body=GOOD + SMUGGLED), BAD),
    "a coding after a bare LF": (post(b"X: a\nTransfer-Encoding: chunked\r\n", LENGTH, body=BODY + SMUGGLED), BAD),
    "a coding after a bare CR": (post(b"X: a\rTransfer-Encoding: chunked\r\n", LENGTH, body=BODY + SMUGGLED), BAD),
    "chunks in HTTP/1.0": (post(CHUNKED, line=b"POST " + PATH + b" HTTP/1.0\r\n", body=GOOD + SMUGGLED), BAD),
    # Chunks
    "no chunk size": (post(CHUNKED, body=b"\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED), BAD),
    "a size that is no number": (post(CHUNKED, body=b"zz\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED), BAD),
    "a size with a sign": (post(CHUNKED, body=b"+38\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED), BAD),
    "a negative size": (post(CHUNKED, body=b"-1\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED), BAD),
    "a size with 0x": (post(CHUNKED, body=b"0x38\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED), BAD),
    "a size of 40 digits": (post(CHUNKED, body=b"f" * 40 + b"\r\n" + BODY), BAD | {413}),
    "a size too small": (post(CHUNKED, body=b"3\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED), BAD),
    "a size too large": (post(CHUNKED, body=b"99\r\n" + BODY + b"\r\n0\r\n\r\n"), CUT),
    "a chunk that ends in LF": (post(CHUNKED, body=b"38\r\n" + BODY + b"\n0\r\n\r\n" + SMUGGLED), BAD),
    "a size that ends in LF": (post(CHUNKED, body=b"38\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED), BAD),
    "a bare CR in an extension": (post(CHUNKED, body=b"38;a\rb\r\n" + BODY + b"\r\n0\r\n\r\n" + SMUGGLED), BAD),
    "an extension": (post(CHUNKED, body=b"38;a=b\r\n" + BODY + b"\r\n0\r\n\r\n"), OK),
    "no last chunk": (post(CHUNKED, body=chunks(BODY, end=b"")), CUT),
    "half a chunk": (post(CHUNKED, body=b"38\r\n" + BODY[:9]), CUT),
    "trailers": (post(CHUNKED, body=chunks(BODY, end=b"0\r\nX-Sum: 1\r\n\r\n")), OK),
    "a length as trailer": (post(CHUNKED, body=chunks(BODY, end=b"0\r\nContent-Length: 3\r\n\r\n") + SMUGGLED), BAD),
    "a trailer that is none": (post(CHUNKED, body=chunks(BODY, end=b"0\r\nnone\r\n\r\n") + SMUGGLED), BAD),
    "chunks of one byte, too many": (post(CHUNKED, body=b"1\r\n \r\n" * 5000 + GOOD), {400}),
    # Lines and headers
    "a folded header": (LIVE + b"X: a\r\n b\r\n\r\n", BAD),
    "a fold before any header": (b"GET /health/live HTTP/1.1\r\n X: a\r\n\r\n", BAD),
    "two hosts": (LIVE + b"Host: y\r\n\r\n", BAD),
    "two content types": (post(LENGTH, JSON, body=BODY + SMUGGLED), BAD),
    "NUL in a header": (LIVE + b"X: a\x00b\r\n\r\n", BAD),
    "NUL in a name": (LIVE + b"X\x00: a\r\n\r\n", BAD),
    "DEL in a header": (LIVE + b"X: a\x7fb\r\n\r\n", BAD),
    "no name": (LIVE + b": a\r\n\r\n", BAD),
    "no colon": (LIVE + b"X\r\n\r\n", BAD),
    "a name that is not ASCII": (LIVE + b"\xc3\xa6: a\r\n\r\n", BAD),
    "only LF": (LIVE.replace(b"\r\n", b"\n") + b"\n", BAD),
    "one LF": (LIVE + b"X: a\nY: b\r\n\r\n", BAD),
    "65 headers": (LIVE + b"X: a\r\n" * 65 + b"\r\n", {431}),
    "a header of 9,000 bytes": (LIVE + b"X: " + b"a" * 9000 + b"\r\n\r\n", {431}),
    "headers of 40,000 bytes": (LIVE + (b"X: " + b"a" * 8000 + b"\r\n") * 5 + b"\r\n", {431}),
    "headers without an end": (LIVE + (b"X: " + b"a" * 8000 + b"\r\n") * 9, {431}),
    "a target of 5,000 bytes": (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414}),
    "a line without an end": (b"GET /" + b"a" * 5000, {414}),
    # Versions, targets, methods
    "HTTP/0.9": (b"GET /health/live\r\n", BAD),
    "HTTP/1.0": (b"GET /health/live HTTP/1.0\r\n\r\n", OK),
    "HTTP/1.1 without a host": (b"GET /health/live HTTP/1.1\r\n\r\n", OK | BAD),
    "HTTP/1.2": (b"GET /health/live HTTP/1.2\r\nHost: x\r\n\r\n", OK | BAD),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD),
    "HTTP/1.10": (b"GET /health/live HTTP/1.10\r\nHost: x\r\n\r\n", BAD),
    "http/1.1": (b"GET /health/live http/1.1\r\nHost: x\r\n\r\n", BAD),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x0d\x0a" * 4, BAD),
    "an absolute target": (b"GET http://elsewhere.test/health/live HTTP/1.1\r\nHost: x\r\n\r\n", OK | BAD),
    "an absolute target with a path that is none": (b"GET http://[x HTTP/1.1\r\nHost: x\r\n\r\n", BAD),
    "an asterisk": (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
    "options of everything": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", {200, 400, 404}),
    "a tunnel": (b"CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED, {400, 404, 405}),
    "a target without a slash": (b"GET health/live HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
    "two slashes": (b"GET //health/live HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "a space in the target": (b"GET /health/live /w HTTP/1.1\r\nHost: x\r\n\r\n", BAD),
    "NUL in the target": (b"GET /health/live\x00 HTTP/1.1\r\nHost: x\r\n\r\n", BAD),
    "an encoded NUL": (b"GET /w/%00 HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "bytes in the target": (b"GET /w/\xff HTTP/1.1\r\nHost: x\r\n\r\n", BAD),
    "encoded bytes": (b"GET /w/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "half an escape": (b"GET /w/%f HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "a method in lower case": (b"get /health/live HTTP/1.1\r\nHost: x\r\n\r\n", BAD),
    "a made-up method": (b"KARI /health/live HTTP/1.1\r\nHost: x\r\n\r\n", {400, 405}),
    "no method": (b" /health/live HTTP/1.1\r\nHost: x\r\n\r\n", BAD),
    "an empty line first": (b"\r\n" + LIVE + b"\r\n", OK),
    "two empty lines first": (b"\r\n\r\n" + LIVE + b"\r\n", BAD),
    # What a proxy could have said
    "a script name": (b"GET /x/metrics HTTP/1.1\r\nHost: x\r\nSCRIPT_NAME: /x\r\n\r\n", {404}),
    "a path info": (b"GET /x HTTP/1.1\r\nHost: x\r\nPATH_INFO: /metrics\r\n\r\n", {404}),
    "two schemes": (LIVE + b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n\r\n", OK),
    "an expectation that nobody knows": (LIVE + b"Expect: payment\r\n\r\n", BAD),
    "an upgrade": (LIVE + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n", OK),
}
