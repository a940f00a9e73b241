"""`flask ledger rotate-keys`: a new version of a key, the work that it makes, and the end of an old one."""

from collections.abc import Mapping
from typing import Any

import click

from console.operator import Exit, Operator, Speaker, command, stop
from ledger.errors import KeyringError, RefusedError
from ledger.keyring import ROLES
from ledger.rotation import FILES, Rotation, Standing, StillUsedError, standing
from workers.context import now_ms


@click.command("rotate-keys")
@click.argument("name", required=False, type=click.Choice(list(FILES)))
@click.option("--finish", is_flag=True, help="Use the newest version, and do again what was done with older ones.")
@click.option("--destroy", type=int, metavar="VERSION", help="Destroy an old version that nothing needs any more.")
@click.option("--status", is_flag=True, help="Only show where each key stands, as without NAME.")
@command
def rotate_keys(
    operator: Operator, speak: Speaker, name: str | None, finish: bool, destroy: int | None, status: bool
) -> None:
    """Add a version of a key, which is used from --finish on; without NAME, show where each key stands."""
    if sum((finish, destroy is not None, status)) > 1:
        raise click.UsageError("Only one of --finish, --destroy and --status at a time.")
    if name is None and (finish or destroy is not None):
        raise click.UsageError("Which key? Missing argument 'NAME'.")
    if operator.settings.keyring:
        raise RefusedError("keys_not_on_disk")
    if name is None:
        _show(speak, [_row_or_reason(operator, each) for each in FILES])
    elif status:
        _show(speak, [_row(_standing(operator, name))])
    elif finish:
        _finish(operator, speak, name)
    elif destroy is not None:
        _destroy(operator, speak, name, destroy)
    else:
        _begin(operator, speak, name)


def _show(speak: Speaker, rows: list[dict[str, Any]]) -> None:
    shown = rows if speak.as_json else [{column: _cell(value) for column, value in row.items()} for row in rows]
    speak.rows(shown, ["key", "current", "versions", "retired", "used_by", "next"], "")


def _row_or_reason(operator: Operator, name: str) -> dict[str, Any]:
    """Where folders hold only what each process needs, no folder has every key."""
    try:
        return _row(_standing(operator, name))
    except KeyringError as error:
        return {"key": name, "next": error.reason}


def _standing(operator: Operator, name: str) -> Standing:
    return standing(operator.context.database, operator.settings.keys_dir, name)


def _row(one: Standing) -> dict[str, Any]:
    return {
        "key": one.name,
        "current": one.key.current,
        "versions": sorted(one.key.versions),
        "retired": sorted(one.key.retired),
        "used_by": {str(version): dict(of) for version, of in sorted(one.uses.items())},
        "next": "--finish"
        if not one.is_finished
        else " ".join(f"--destroy {version}" for version in one.unused) or None,
    }


def _cell(value: Any) -> Any:
    """`1: 12 data_keys, 3 relays; 2: …`, and versions side by side."""
    if isinstance(value, Mapping):
        parts = [f"{version}: " + ", ".join(f"{of[what]} {what}" for what in of) for version, of in value.items()]
        return "; ".join(parts) or None
    return " ".join(map(str, value)) or None if isinstance(value, list) else value


def _rotation(operator: Operator, name: str) -> Rotation:
    return Rotation(operator.context.database, operator.settings.keys_dir, name, now_ms())


def _begin(operator: Operator, speak: Speaker, name: str) -> None:
    version = _rotation(operator, name).begin()
    files = set(FILES[name])
    speak.document(
        {
            "key": name,
            "version": version,
            "files": [f"{file}.json" for file in FILES[name]],
            "read_by": [role for role, held in ROLES.items() if held & files],
            "next": "copy the files wherever else these are read, then --finish",
        }
    )


def _finish(operator: Operator, speak: Speaker, name: str) -> None:
    outstanding = _standing(operator, name).outstanding
    with click.progressbar(length=outstanding, label="Working", hidden=speak.as_json) as bar:
        _rotation(operator, name).finish(bar.update)
    left = _standing(operator, name)
    speak.document(_row(left))
    if not left.is_finished:
        stop(Exit.PARTIAL, "not_all_done")


def _destroy(operator: Operator, speak: Speaker, name: str, version: int) -> None:
    try:
        _rotation(operator, name).destroy(version)
    except StillUsedError as error:
        speak.document({"key": name, "version": version, "used_by": dict(error.uses)})
        raise
    speak.document(_row(_standing(operator, name)))
