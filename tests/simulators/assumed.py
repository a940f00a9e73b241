"""`python -m tests.simulators.assumed`: writes into docs/reference/simulators.md what the simulators only assume.

Every behaviour of a simulator names its source; where there is none, its comment or docstring says `assumed`. Those
sentences are the list. `--check` writes nothing, and fails if the page is not current.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "simulators.md"
BEGIN, END = "<!-- generated:assumed -->", "<!-- end:assumed -->"
VENDORS = {"wordpress": "WordPress", "wpengine": "WP Engine", "stripe": "Stripe"}
GOOGLE = "Google"
WORD = re.compile(r"(?<!says )\bassumed\b", re.IGNORECASE)  # "where it says assumed" assumes nothing
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")
Named = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, order=True)
class Assumption:
    """One sentence, and where it stands."""

    vendor: str
    module: str
    place: str
    sentence: str


def assumptions(folder: Path = HERE) -> list[Assumption]:
    """Every sentence of the simulators that says so, sorted."""
    found = set()
    for path in sorted(folder.glob("*.py")):
        if path.name != Path(__file__).name:
            found |= set(_of_module(path))
    return sorted(found)


def _of_module(path: Path) -> Iterator[Assumption]:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    named = [node for node in ast.walk(tree) if isinstance(node, Named)]
    for node in named:
        for sentence in _sentences(ast.get_docstring(node) or ""):
            yield Assumption(_vendor(path), path.name, _name(node), sentence)
    for line, comment in _comments(text):
        for sentence in _sentences(comment):
            yield Assumption(_vendor(path), path.name, _name(_around(named, line)), sentence)


def _vendor(path: Path) -> str:
    return VENDORS.get(path.stem.partition("_")[0], GOOGLE)


def _sentences(text: str) -> Iterator[str]:
    """A blank line ends a sentence too."""
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in SENTENCE_END.split(" ".join(paragraph.split())):
            if WORD.search(sentence):
                yield sentence


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each comment; lines that follow each other are one."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if block and line != last + 1:
            yield first, " ".join(block)
            block = []
        first = first if block else line
        block.append(token.string.lstrip("# "))
        last = line
    if block:
        yield first, " ".join(block)


def _around(named: list[Named], line: int) -> Named:
    """The innermost definition that a line stands in, or else the module."""
    holding = [one for one in named if not isinstance(one, ast.Module) and one.lineno <= line <= (one.end_lineno or 0)]
    return max(holding, key=lambda one: getattr(one, "lineno", 0), default=named[0])


def _name(node: Named) -> str:
    return "" if isinstance(node, ast.Module) else node.name


def table() -> str:
    """One table for each vendor."""
    found = assumptions()
    parts = []
    for vendor in sorted({one.vendor for one in found}):
        rows = [f"### {vendor}", "", "| Where | What is assumed |", "|---|---|"]
        for one in found:
            if one.vendor == vendor:
                where = f"`{one.module}`" + (f", `{one.place}`" if one.place else "")
                rows.append(f"| {where} | {one.sentence.replace('|', chr(92) + '|')} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) or "Nothing."


def renewed(text: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE.name} lacks {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    current = renewed(text)
    if current != text and "--check" in sys.argv:
        raise SystemExit(f"{PAGE.name} is not current: python -m tests.simulators.assumed")
    PAGE.write_text(current, encoding="utf-8")


if __name__ == "__main__":
    main()
