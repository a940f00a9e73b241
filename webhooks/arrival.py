"""How much of a request has come: enough for a thread to answer it, or not yet.

This decides when, never what: gunicorn's parser reads the same bytes afterwards, and it alone says where a request
ends and whether it is one. What is odd here is ready at once, because it is refused there.
"""

import re
from enum import Enum

from webhooks.requests import BODY_SIZE_MAX_BYTES

LINE_SIZE_MAX_BYTES = 4_094
FIELD_SIZE_MAX_BYTES = 8_190
HEAD_SIZE_MAX_BYTES = 32 * 1024
CHUNKS_MAX = 4_096  # each costs the parser more than a hundred bytes of an honest body do
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_VERSIONS = (b" HTTP/1.1", b" HTTP/1.0")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_ABOUT_LENGTH = re.compile(rb"\r\n(?:content-length|transfer-encoding):", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*(?=\r\n)", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,6})[ \t]*(?:;[^\r\n]*)?")


class Progress(Enum):
    WAITING = "waiting"
    READY = "ready"
    HEAD_TOO_LARGE = "head_too_large"


class Arrival:
    """The bytes of one request as they come in. `add` until it is READY, then give `received` to the parser.

    `is_expecting`: the head is here, and the sender waits for CONTINUE before it sends the body (RFC 9110, 10.1.1).
    """

    __slots__ = ("_chunks_left", "_is_chunked", "_next", "_scanned", "_whole_at", "is_expecting", "received")

    def __init__(self) -> None:
        self.received = bytearray()
        self.is_expecting = False
        self._scanned = 0
        self._whole_at: int | None = None  # how long it is in all, once that is known
        self._is_chunked = False
        self._next = 0  # where the next chunk's size begins
        self._chunks_left = CHUNKS_MAX

    def add(self, data: bytes) -> Progress:
        self.received += data
        if self._whole_at is None and not self._is_chunked:
            head = self._find_head()
            if isinstance(head, Progress):
                return head
            self._measure(head)
        if self._is_chunked:
            return self._follow_chunks()
        assert self._whole_at is not None
        return Progress.READY if len(self.received) >= self._whole_at else Progress.WAITING

    def _find_head(self) -> int | Progress:
        """Where the head ends; or WAITING for the rest, READY to be refused, or HEAD_TOO_LARGE."""
        received = self.received
        end = received.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end >= 0:
            return end + 4 if end + 4 <= HEAD_SIZE_MAX_BYTES else Progress.HEAD_TOO_LARGE
        line_end = received.find(b"\r\n", 2)  # one empty line may come first (RFC 9112, 2.2)
        is_odd = (
            _BARE_LF.search(received, self._scanned) is not None
            or (line_end < 0 and len(received) > LINE_SIZE_MAX_BYTES + 4)
            or (line_end >= 0 and not received[:line_end].endswith(_VERSIONS))
        )
        self._scanned = len(received)
        if is_odd:
            return Progress.READY
        return Progress.HEAD_TOO_LARGE if len(received) > HEAD_SIZE_MAX_BYTES else Progress.WAITING

    def _measure(self, head_end: int) -> None:
        head = bytes(self.received[:head_end])
        self._whole_at = head_end  # unless it says how much follows, once and clearly
        if len(_ABOUT_LENGTH.findall(head)) != 1:
            return
        if length := _LENGTH.search(head):
            size_bytes = int(length.group(1))
            if size_bytes <= BODY_SIZE_MAX_BYTES:  # more is refused by its length alone
                self._whole_at = head_end + size_bytes
        elif _CHUNKED.search(head):
            self._whole_at, self._is_chunked, self._next = None, True, head_end
        is_whole = self._whole_at is not None and len(self.received) >= self._whole_at
        self.is_expecting = not is_whole and _EXPECTS.search(head) is not None

    def _follow_chunks(self) -> Progress:
        """From chunk to chunk (RFC 9112, 7.1) until the last one's trailers have ended, or it is more than we take."""
        received = self.received
        if len(received) > HEAD_SIZE_MAX_BYTES + BODY_SIZE_MAX_BYTES:
            return Progress.READY
        while True:
            end = received.find(b"\r\n", self._next)
            if end < 0:
                is_odd = len(received) - self._next > FIELD_SIZE_MAX_BYTES
                return Progress.READY if is_odd else Progress.WAITING
            size = _CHUNK_SIZE.fullmatch(received, self._next, end)
            self._chunks_left -= 1
            if size is None:
                return Progress.READY
            if self._chunks_left < 0:
                del received[self._next :]  # and so it is cut off
                return Progress.READY
            if int(size.group(1), 16) == 0:
                is_ended = received.find(b"\r\n\r\n", end) >= 0
                is_odd = len(received) - end > HEAD_SIZE_MAX_BYTES
                self._chunks_left += 1  # this one is looked at again
                return Progress.READY if is_ended or is_odd else Progress.WAITING
            self._next = end + 2 + int(size.group(1), 16) + 2
