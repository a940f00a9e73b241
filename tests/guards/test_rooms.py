"""The rooms: imports run one way (console, webhooks -> workers -> ledger -> schemas), wherever they stand."""

import ast
from collections.abc import Iterator

import pytest

from tests.guards.source import ROOMS, ROOT, Module, files, modules

MAY_IMPORT = {
    "schemas": set(),
    "ledger": {"schemas"},
    "workers": {"ledger", "schemas"},
    "webhooks": {"ledger", "schemas", "workers"},
    "console": {"workers", "ledger", "schemas"},
}
OF_WORKERS_THE_DOOR_KNOWS = {"workers.doorbell"}
GRAB_BAGS = {"utils", "util", "helpers", "helper", "common", "core", "services", "misc", "shared", "lib"}


def imported(module: Module) -> Iterator[str]:
    """Dotted names, from function bodies too: that is where cycles hide."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.path}: a relative import"
            yield node.module or ""


def room_of(name: str) -> str:
    return name.split(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_to_its_right(room: str) -> None:
    ours = {*ROOMS, "tests", "app"} - {room}
    wrong = {
        (module.path, name)
        for module in modules(room)
        for name in imported(module)
        if room_of(name) in ours and room_of(name) not in MAY_IMPORT[room]
    }
    assert not wrong
    assert modules(room)


def test_the_door_knows_only_the_doorbell_of_the_workers() -> None:
    names = {name for module in modules("webhooks") for name in imported(module) if room_of(name) == "workers"}
    assert names == OF_WORKERS_THE_DOOR_KNOWS


def test_no_room_but_the_door_and_the_console_speaks_flask() -> None:
    speaking = {
        module.path.split("/")[0] for module in modules(*ROOMS) for name in imported(module) if room_of(name) == "flask"
    }
    assert speaking == {"webhooks", "console"}


def test_nothing_is_imported_by_a_name_made_at_run_time() -> None:
    dynamic = [module.path for module in modules(*ROOMS) if {"importlib", "imp", "runpy"} & {*imported(module)}]
    assert dynamic == []


def test_there_is_no_grab_bag() -> None:
    names = {part for path in files() for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not names & GRAB_BAGS


def test_every_folder_of_python_is_a_room_or_the_tests() -> None:
    assert {module.path.split("/")[0] for module in modules() if "/" in module.path} == {*ROOMS, "tests"}
