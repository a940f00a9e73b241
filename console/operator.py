"""What a command works with, the words it speaks, and its exit codes."""

import enum
import functools
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import click
from flask import current_app
from flask.cli import with_appcontext
from redis import RedisError

from ledger.errors import LedgerError, NotFoundError, RefusedError
from ledger.log import NewEntry, append_many, new_id
from schemas.entry import Entry, Kind, format_time
from schemas.policy import PolicyError
from schemas.settings import Settings, SettingsError
from workers.context import Context, build_context, now_ms
from workers.queue import connect, ring


class Exit(enum.IntEnum):
    """Exit codes of every command (docs/reference/commands.md)."""

    DONE = 0
    NO = 1  # the answer is no, or a check found something
    USAGE = 2
    PARTIAL = 3  # some of what was asked was done
    REFUSED = 4
    UNAVAILABLE = 5  # database, key or policy cannot be used


class Operator:
    """Builds the context at first use: `flask keys generate` must work before there are keys."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @functools.cached_property
    def context(self) -> Context:
        return build_context(self.settings, "operator")

    def close(self) -> None:
        """Close the database, if it was opened."""
        if "context" in self.__dict__:
            self.context.database.close()

    def ring(self, queue: str) -> bool:
        """Tell the queue now; the clock's sweep does the same within a second."""
        connection = connect(self.settings.redis_url)
        try:
            ring(connection, queue)
        except RedisError:
            return False
        finally:
            connection.close()
        return True

    def record_deed(self, kind: Kind, **fields: Any) -> None:
        """Every action of an operator is an entry of the ledger."""
        now = now_ms()
        entry = Entry(id=new_id(now), kind=kind, recorded_at_ms=now, source="operator", method="operator", **fields)
        with self.context.database.write() as connection:
            append_many(connection, [NewEntry(entry)])


def command(function: Callable[..., object]) -> Callable[..., object]:
    """Give a command its Operator and `--json`, and turn the room's errors into one line and an exit code."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
    @with_appcontext
    @functools.wraps(function)
    def run(*args: Any, as_json: bool, **kwargs: Any) -> object:
        operator: Operator = current_app.extensions["operator"]
        try:
            return function(operator, Speaker(as_json), *args, **kwargs)
        except NotFoundError as error:
            stop(Exit.NO, error.reason)
        except RefusedError as error:
            stop(Exit.REFUSED, error.reason)
        except LedgerError as error:
            stop(Exit.UNAVAILABLE, error.reason)
        except (PolicyError, SettingsError) as error:
            stop(Exit.UNAVAILABLE, str(error))

    return run


def stop(code: Exit, reason: str) -> NoReturn:
    click.echo(reason, err=True)
    raise SystemExit(int(code))


class Speaker:
    """Prints documents: as JSON for programs, as aligned columns or lines for people."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def rows(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
        if self.as_json:
            click.echo(json.dumps(list(rows), ensure_ascii=False, indent=1))
        elif rows:
            _echo_table([columns, *([_text(row.get(name)) for name in columns] for row in rows)])
        else:
            click.echo(empty)

    def document(self, document: Mapping[str, Any]) -> None:
        if self.as_json:
            click.echo(json.dumps(document, ensure_ascii=False, indent=1))
            return
        width = max(len(name) for name in document)
        for name, value in document.items():
            if isinstance(value, list) and value:
                click.echo(f"{name}:")
                _echo_table([_cells(item) for item in value], indent="  ")
            else:
                click.echo(f"{name.ljust(width)}  {_text(value)}")


def _cells(item: Any) -> list[str]:
    return [_text(part) for part in item.values()] if isinstance(item, dict) else [_text(item)]


def _echo_table(table: Sequence[Sequence[str]], indent: str = "") -> None:
    columns = itertools.zip_longest(*table, fillvalue="")
    widths = [max(map(len, column)) for column in columns]
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=False))
        click.echo((indent + "  ".join(cells)).rstrip())


def _text(value: Any) -> str:
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{name}={_text(part)}" for name, part in value.items())
    return str(value)


def at(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else format_time(moment_ms)


def hex_id(text: str) -> bytes:
    """An id as a command's argument. Raises NotFoundError: whatever is no id names nothing."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise NotFoundError("not_an_id") from None
