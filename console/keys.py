"""`flask keys`: make the keys, and show what others need to verify us."""

from typing import Any

import click

from console.operator import Operator, Speaker, command
from ledger.keyring import Key, generate_keys, load_keyring, write_keys
from ledger.note import format_vkey
from ledger.rotation import public_versions


@click.group()
def keys() -> None:
    """Keys of this installation."""


@keys.command("generate")
@click.option("--origin", required=True, help="Name of the ledger, for ever: e.g. samtykke.example.no/ledger")
@command
def generate(operator: Operator, speak: Speaker, origin: str) -> None:
    """Make every key that does not exist yet. Existing keys are never touched."""
    written = write_keys(operator.settings.keys_dir, generate_keys(origin))
    speak.document({"folder": str(operator.settings.keys_dir), "written": written})


@keys.command("public")
@command
def public(operator: Operator, speak: Speaker) -> None:
    """Show the public keys that verify checkpoints and receipts, retired ones too."""
    keyring = load_keyring("operator", operator.settings.keys_dir, operator.settings.keyring)
    rows = [row for name in ("checkpoint", "receipt") for row in _public_rows(name, keyring[name])]
    speak.rows(rows, ["key", "version", "state", "vkey"], "")


def _public_rows(name: str, key: Key) -> list[dict[str, Any]]:
    """The current version first; `live`: signs as well, in a rotation; `retired`: what it signed still verifies."""
    public = public_versions(name, key)
    states = dict.fromkeys(public, "live") | dict.fromkeys(key.retired, "retired") | {key.current: "current"}
    return [
        {"key": name, "version": version, "state": state, "vkey": format_vkey(key.origin or "", public[version])}
        for version, state in sorted(states.items(), key=lambda each: (each[1], -each[0]))
    ]
