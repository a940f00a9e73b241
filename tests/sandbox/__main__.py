"""`python -m tests.sandbox [name …]`: each check in turn, or the named ones; exit 1 if a vendor does otherwise."""

import sys
from collections.abc import Sequence

import click

from schemas.settings import Settings, load_settings
from tests.sandbox import other_checks, stripe_checks
from tests.sandbox.check import AS_ASSUMED, DIFFERS, NOT_CHECKED, Check, DiffersError
from workers.context import project_root

CHECKS = (*stripe_checks.CHECKS, *other_checks.CHECKS)
ERRORS = (*stripe_checks.ERRORS, *other_checks.ERRORS)


def verdict(check: Check, settings: Settings) -> tuple[str, str]:
    """(verdict, what was seen). A vendor's own sentence is never repeated: it may name somebody."""
    missing = check.missing(settings)
    if missing is not None:
        return NOT_CHECKED, missing
    try:
        return AS_ASSUMED, check.run(settings)
    except DiffersError as error:
        return DIFFERS, str(error)
    except ERRORS as error:
        return DIFFERS, str(getattr(error, "reason", None) or type(error).__name__)


def main(names: Sequence[str]) -> int:
    settings, seen = load_settings(project_root()), []
    for check in CHECKS:
        if not names or check.name in names:
            told, what = verdict(check, settings)
            seen.append(told)
            click.echo(f"{check.name:24} {told:12} {what}")
    return int(DIFFERS in seen)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
