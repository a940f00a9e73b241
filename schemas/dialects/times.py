"""Times that senders write unambiguously; anything else is not a time to us."""

import datetime

from schemas.entry import parse_time
from schemas.refusal import NotUnderstood


def parse_offset_time(text: str) -> int:
    """RFC 3339 with an offset -> unix milliseconds."""
    try:
        return parse_time(text)
    except ValueError:
        raise NotUnderstood("time_not_understood") from None


def parse_utc_time(text: str) -> int:
    """`2026-11-23 01:25:45`, known to be UTC -> unix milliseconds."""
    try:
        moment = datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.UTC)
    except ValueError:
        raise NotUnderstood("time_not_understood") from None
    return int(moment.timestamp()) * 1000
