"""Times that senders write unambiguously; anything else is not a time to us."""

import datetime
from collections.abc import Callable

from schemas.entry import parse_time
from schemas.refusal import NotUnderstood


def parse_offset_time(text: str) -> int:
    """RFC 3339 with an offset -> unix milliseconds."""
    try:
        return _since_1970(parse_time(text))
    except ValueError:
        raise NotUnderstood("time_not_understood") from None


def _utc_time(shape: str) -> Callable[[str], int]:
    """A parser of times in this shape, known to be UTC -> unix milliseconds."""

    def parse(text: str) -> int:
        try:
            moment = datetime.datetime.strptime(text, shape).replace(tzinfo=datetime.UTC)
        except ValueError:
            raise NotUnderstood("time_not_understood") from None
        return _since_1970(int(moment.timestamp()) * 1000)

    return parse


parse_utc_time = _utc_time("%Y-%m-%d %H:%M:%S")
parse_utc_time_with_t = _utc_time("%Y-%m-%dT%H:%M:%S")


def _since_1970(at_ms: int) -> int:
    """Nothing was sent before; what says so means `none`, and a leaf cannot hold the years before 1000."""
    if at_ms < 0:
        raise NotUnderstood("time_not_understood")
    return at_ms
