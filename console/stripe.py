"""`flask stripe`: ask Stripe for events that did not arrive, further back than the intake does by itself."""

import re

import click

from console.operator import Exit, Operator, Speaker, at, command, stop
from workers.context import build_context, now_ms
from workers.relays.action import RelayError

UNIT_MS = {"d": 24 * 3600 * 1000, "h": 3600 * 1000}
DAYS_MAX = 30  # Stripe shows no older ones


def _ago_ms(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    """`30d` or `12h`, as milliseconds."""
    found = re.fullmatch(r"([0-9]{1,3})([dh])", text)
    ago_ms = int(found[1]) * UNIT_MS[found[2]] if found else 0
    if not 0 < ago_ms <= DAYS_MAX * UNIT_MS["d"]:
        raise click.BadParameter("a number of days or hours, such as 7d or 12h, at most 30d")
    return ago_ms


@click.group("stripe")
def stripe_group() -> None:
    """Stripe as a sender."""


@stripe_group.command("backfill")
@click.option("--since", "ago_ms", default="30d", show_default=True, callback=_ago_ms, help="At most 30 days back.")
@command
def backfill(operator: Operator, speak: Speaker, ago_ms: int) -> None:
    """Take in every event of that time that is not here. Exit 1 if one is missing afterwards."""
    from workers.intake.stripe import SETTLED_MS  # the SDK takes half a second
    from workers.intake.stripe_events import open_reader

    context = build_context(operator.settings, "intake")
    try:
        reader = open_reader(context)
        if reader is None:
            stop(Exit.REFUSED, "STRIPE_API_KEY is not set")
        until_ms = now_ms()
        tally = reader.take_window(until_ms - ago_ms, until_ms + UNIT_MS["h"])
    except RelayError as error:
        stop(Exit.UNAVAILABLE, error.reason)
    finally:
        context.database.close()
    speak.document(
        {
            "since": at(until_ms - ago_ms),
            "looked_at": tally.looked_at,
            "found": tally.found,
            "duplicates": tally.duplicates,
            "missing": tally.missing,
            "as_of": at(until_ms - SETTLED_MS),
        }
    )
    if tally.missing:
        raise SystemExit(int(Exit.NO))
