"""One check: what is asked, what it needs, and what may come of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from schemas.settings import Settings

AS_ASSUMED, DIFFERS, NOT_CHECKED = "as assumed", "differs", "not checked"


class DiffersError(Exception):
    """The vendor does something else than the simulators do; the text says what was seen."""


@dataclass(frozen=True, slots=True)
class Check:
    """`name`: its line in docs/reference/vendor-sandbox.md. `needs`: settings, and variables that begin with SANDBOX_.

    `run`: what was seen, as assumed. Raises DiffersError.
    """

    name: str
    needs: tuple[str, ...]
    run: Callable[[Settings], str]

    def missing(self, settings: Settings) -> str | None:
        """What it lacks, by name."""
        for name in self.needs:
            value = os.environ.get(name) if name.startswith("SANDBOX_") else getattr(settings, name.lower())
            if not value:
                return f"no {name}"
        return None


def expect(seen: object, assumed: object, what: str) -> None:
    if seen != assumed:
        raise DiffersError(f"{what}: {seen}, assumed {assumed}")
