"""Times that senders write unambiguously; anything else is not a time to us."""

import datetime

from schemas.entry import parse_time
from schemas.refusal import NotUnderstood


def parse_offset_time(text: str) -> int:
    """RFC 3339 with an offset -> unix milliseconds."""
    try:
        return _since_1970(parse_time(text))
    except ValueError:
        raise NotUnderstood("time_not_understood") from None


def parse_utc_time(text: str) -> int:
    """`2026-11-23 01:25:45`, known to be UTC -> unix milliseconds."""
    try:
        moment = datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.UTC)
    except ValueError:
        raise NotUnderstood("time_not_understood") from None
    return _since_1970(int(moment.timestamp()) * 1000)


def _since_1970(at_ms: int) -> int:
    """Nothing was sent before; what says so means `none`, and a leaf cannot hold the years before 1000."""
    if at_ms < 0:
        raise NotUnderstood("time_not_understood")
    return at_ms
