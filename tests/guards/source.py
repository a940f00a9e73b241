"""The source as data: which files there are, and what their syntax trees say."""

import ast
import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("schemas", "ledger", "webhooks", "workers", "console")
# What is made, and not written.
MADE = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "var"}
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file: its path below the project, its text, and its tree."""

    path: str
    text: str
    tree: ast.Module

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def files() -> list[Path]:
    """Everything that somebody wrote, sorted."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in MADE]
        found += [Path(folder) / name for name in names if not name.endswith(".pyc")]
    return sorted(found)


@functools.cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Of the named folders, or of the whole project."""
    paths = [path for path in files() if path.suffix == ".py"]
    below = [(path.relative_to(ROOT).as_posix(), path) for path in paths]
    return tuple(
        Module(name, text, ast.parse(text, name))
        for name, path in below
        if not folders or name.split("/")[0] in folders
        for text in [path.read_text(encoding="utf-8")]
    )


def called_name(call: ast.Call) -> str:
    """`Refused` of `Refused(404, "x")`, `error` of `log.error("x")`."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def text_of(node: ast.expr | None) -> str | None:
    """The text of a literal; None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
