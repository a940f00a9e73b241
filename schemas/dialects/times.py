"""Times that senders write unambiguously; anything else is not a time to us."""

import re

from schemas.entry import parse_time
from schemas.refusal import NotUnderstood

_SECONDS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}")


def parse_offset_time(text: str) -> int:
    """RFC 3339 with an offset -> unix milliseconds."""
    try:
        return _since_1970(parse_time(text))
    except ValueError:
        raise NotUnderstood("time_not_understood") from None


def parse_utc_time(text: str) -> int:
    """`2026-11-23 01:25:45`, known to be UTC -> unix milliseconds."""
    return _parse_utc(text, " ")


def parse_utc_time_with_t(text: str) -> int:
    """`2026-11-23T01:25:45`, known to be UTC -> unix milliseconds."""
    return _parse_utc(text, "T")


def _parse_utc(text: str, between: str) -> int:
    if not _SECONDS.fullmatch(text) or text[10] != between:
        raise NotUnderstood("time_not_understood")
    return parse_offset_time(f"{text}Z")


def _since_1970(at_ms: int) -> int:
    """Nothing was sent before; what says so means `none`, and a leaf cannot hold the years before 1000."""
    if at_ms < 0:
        raise NotUnderstood("time_not_understood")
    return at_ms
