"""`flask subjects export`: everything that is held about one person, here and at every processor, in a file."""

import json
from pathlib import Path

import click
from sqlalchemy import select

from console.operator import Exit, Operator, Speaker, command, hex_id, stop
from console.rights import find
from ledger.durable_file import create_file
from ledger.errors import NotFoundError
from ledger.tables import rights_request


@click.command("export")
@click.option("--email", help="Whose; `-` reads the address from standard input.")
@click.option("--request", "request_id", help="Or the id of the rights request that it answers.")
@click.option("--to", "path", required=True, type=click.Path(path_type=Path), help="A file that does not exist yet.")
@command
def export(operator: Operator, speak: Speaker, email: str | None, request_id: str | None, path: Path) -> None:
    """Write everything that is held about a person as JSON, readable by you alone. This is recorded in the ledger.

    Exit 3 if a processor could not be asked: the document says which and why.
    """
    from workers.export import export as gather  # with it come the vendors' SDKs: half a second

    if bool(email) == bool(request_id):
        stop(Exit.USAGE, "name_an_address_or_a_request")
    if path.exists() or not path.parent.is_dir():
        stop(Exit.USAGE, "not_a_new_file")
    handle = _of_request(operator, request_id) if request_id else find(operator, email or "")
    gathered = gather(operator.context, handle, hex_id(request_id) if request_id else None)
    text = json.dumps(gathered.document, ensure_ascii=False, indent=1) + "\n"
    try:
        create_file(path, text.encode())
    except OSError:
        stop(Exit.REFUSED, "file_not_written")
    document = gathered.document
    speak.document(
        {
            "result": "exported",
            "file": str(path),
            "size_bytes": len(text.encode()),
            "entries": len(document["entries"]),
            "asked": [one["processor"] for one in document["processors"] if one["missing"] is None],
            "missing": [f"{processor}: {reason}" for processor, reason in gathered.missing.items()],
        }
    )
    if gathered.missing:
        raise SystemExit(int(Exit.PARTIAL))


def _of_request(operator: Operator, request_id: str) -> bytes:
    """Raises NotFoundError."""
    query = select(rights_request.c.subject).where(rights_request.c.id == hex_id(request_id))
    with operator.context.database.read() as connection:
        handle: bytes | None = connection.execute(query).scalar_one_or_none()
    if handle is None:
        raise NotFoundError("request_not_found")
    return handle
