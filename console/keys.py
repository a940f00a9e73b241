"""`flask keys`: make the keys, and show what others need to verify us."""

import click

from console.operator import Operator, Speaker, command
from ledger.checkpoints import note_signer
from ledger.keyring import generate_keys, load_keyring, write_keys


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
    """Show the public keys that verify checkpoints and receipts."""
    keyring = load_keyring("operator", operator.settings.keys_dir, operator.settings.keyring)
    speak.document({name: note_signer(keyring[name]).vkey() for name in ("checkpoint", "receipt")})
