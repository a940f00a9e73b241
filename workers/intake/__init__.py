"""The intake: asks the sources that can be asked, so that what they could not deliver, or only hint at, still arrives.

Each source knows from `intake_position` how far it has read, and when it is due; the clock rings once a minute.
"""

from collections.abc import Callable, Mapping

from schemas.log_line import error_fields, log
from workers.context import Context
from workers.relays.action import RelayError


def _take_stripe(context: Context) -> int:
    from workers.intake.stripe import take  # its SDK takes half a second, and only this process needs it

    return take(context)


def _take_gmail(context: Context) -> int:
    from workers.intake.gmail import take

    return take(context)


def _take_wordpress(context: Context) -> int:
    from workers.intake.wordpress import take

    return take(context)


# Name of a source -> what asks it; returns how many deliveries were taken in.
SOURCES: Mapping[str, Callable[[Context], int]] = {
    "stripe": _take_stripe,
    "gmail": _take_gmail,
    "wordpress": _take_wordpress,
}


def take_all(context: Context) -> int:
    """Ask every source; one that fails does not keep the others waiting."""
    total = 0
    for name, take in SOURCES.items():
        try:
            total += take(context)
        except RelayError as error:
            log.error("intake_failed", source=name, reason=error.reason, status=error.status)
        except Exception as error:
            log.error("intake_failed", source=name, **error_fields(error))
    return total
