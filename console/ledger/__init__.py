"""`flask ledger`: the append-only ledger, read, copied, and kept in order."""

import click

from console.ledger.copies import export, mirror
from console.ledger.keys import rotate_keys
from console.ledger.reading import audit_ledger, checkpoint, proof, verify
from console.ledger.restoring import drill, restore_ledger, resume

COMMANDS = (verify, audit_ledger, checkpoint, proof, export, mirror, restore_ledger, resume, drill, rotate_keys)


@click.group()
def ledger() -> None:
    """The append-only ledger."""


for _command in COMMANDS:
    ledger.add_command(_command)
