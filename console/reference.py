"""`python -m console.reference`: writes the parts of the documents that are made from the program.

They stand between `<!-- generated:<part> -->` and `<!-- end:<part> -->`; `--check` writes nothing and fails if one is
not what the program says now.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from console import COMMANDS
from schemas.options import OPTIONS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS: Mapping[str, str] = {
    "README.md": "settings",
    "docs/reference/settings.md": "settings",
    "docs/reference/commands.md": "commands",
}
SHARED_OPTIONS = ("--help", "--json")  # every command has them: said once, above the list


class DocumentError(Exception):
    """A document lacks the markers of its part."""


def settings_table() -> str:
    """One row per setting. A default in words, such as `DATA_DIR/keys`, is told as the settings tell it."""
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for option in OPTIONS:
        default = f"`{option.default}`" if option.default and " " not in option.default else option.default
        secret = " Secret." if option.secret else ""
        rows.append(f"| `{option.name}` | {default or 'none'} | {option.description}{secret} |")
    return "\n".join(rows)


def commands_text() -> str:
    """Every command with its arguments and options, from the same help that `--help` prints."""
    root = click.Context(click.Group("flask"), info_name="flask")
    return "\n\n".join(_section(command, root) for command in sorted(COMMANDS, key=lambda each: str(each.name)))


def _section(command: click.Command, parent: click.Context) -> str:
    """A group with its commands, or a command that stands alone."""
    context = click.Context(command, parent=parent, info_name=command.name)
    if not isinstance(command, click.Group):
        return "\n\n".join([f"## {command.name}", *_command(command, context)])
    parts = [f"## {command.name}", command.help or ""]
    for member in command.commands.values():
        parts += _command(member, click.Context(member, parent=context, info_name=member.name))
    return "\n\n".join(parts)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    arguments = command.collect_usage_pieces(context)[1:]  # after [OPTIONS]
    yield f"### `{' '.join([context.command_path, *arguments])}`"
    yield " ".join((command.help or "").split())
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    records = [each.get_help_record(context) for each in options if each.opts[0] not in SHARED_OPTIONS]
    if records:
        yield "\n".join(f"- `{record[0]}`" + (f": {record[1]}" if record[1] else "") for record in records if record)


PARTS: Mapping[str, Callable[[], str]] = {"settings": settings_table, "commands": commands_text}


def renew(text: str, part: str) -> str:
    """`text` with the part made anew. Raises DocumentError."""
    begin, end = f"<!-- generated:{part} -->", f"<!-- end:{part} -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise DocumentError(f"no {begin} … {end}")
    return f"{before}{begin}\n{PARTS[part]()}\n{end}{after}"


def outdated(root: Path) -> dict[Path, str]:
    """The documents under `root` that are not current, each with what it should say. Raises DocumentError."""
    found = {}
    for name, part in DOCUMENTS.items():
        path = root / name
        text = path.read_text(encoding="utf-8")
        renewed = renew(text, part)
        if renewed != text:
            found[path] = renewed
    return found


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a document is not current.")
def main(check: bool) -> None:
    """Write the generated parts of README.md and docs/reference/."""
    for path, text in outdated(ROOT).items():
        click.echo(f"{path.relative_to(ROOT)}: {'not current' if check else 'written'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and outdated(ROOT):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
