"""Rotating keys in tests: steps at a time of the test's own, processes that keep an old file, and interruptions."""

from collections.abc import Callable
from typing import Any

from ledger.keyring import ROLES, Keyring, load_keyring
from ledger.rotation import Rotation, Standing, standing
from tests.ledger.desk import NOW_MS
from tests.world import World


class Interrupted(Exception):
    """Stands for a kill between two transactions: nothing after it is run."""


def nothing(_done: int) -> None:
    """Nobody watches."""


def interrupt_after(batches: int) -> Callable[[int], None]:
    """A progress bar that ends the run once so many transactions are committed."""
    seen: list[int] = []

    def progress(done: int) -> None:
        seen.append(done)
        if len(seen) == batches:
            raise Interrupted

    return progress


def rotation(world: World, name: str, at_ms: int = NOW_MS) -> Rotation:
    return Rotation(world.database, world.settings.keys_dir, name, at_ms)


def rotate(world: World, name: str) -> None:
    """Begin and finish."""
    rotation(world, name).begin()
    rotation(world, name).finish(nothing)


def stands(world: World, name: str) -> Standing:
    return standing(world.database, world.settings.keys_dir, name)


def left_behind(world: World, role: str) -> Keyring:
    """The keys as a process has them that will never look at its files again, as one with KEYRING."""
    held = load_keyring(role, world.settings.keys_dir)
    return Keyring(role, {name: held[name] for name in ROLES[role]})


def key_entries(world: World) -> list[tuple[Any, ...]]:
    """(key, version, reason) of every `ledger.key` entry."""
    leaves = [leaf for leaf in world.leaves() if leaf["kind"] == "ledger.key"]
    return [(leaf["key"], leaf["key_version"], leaf["reason"]) for leaf in leaves]
