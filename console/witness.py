"""`flask witness` and `create_witness`: a C2SP witness on a host of its own, whose state is one file for each log.

It needs nothing of the service that it watches: no database, no queue, no policy, and no key but its own. Serve it by
`gunicorn 'console.witness:create_witness("FOLDER")'`; any number of its processes may share the folder.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask, Response, request

from console.operator import Operator, Speaker, command
from ledger.cosignature import CosignatureSigner
from ledger.durable_file import create_file, locked, replace_file
from ledger.errors import LedgerError, NotFoundError, RefusedError
from ledger.note import NoteVerifier
from ledger.tlog import HASH_SIZE_BYTES
from ledger.witness import (
    EMPTY_HEAD,
    REQUEST_SIZE_MAX_BYTES,
    SIZE_CONTENT_TYPE,
    TreeHead,
    Witness,
    WitnessRefusal,
    format_size,
)
from schemas.log_line import error_fields, log
from workers.context import now_ms

KEY_FILE, LOGS_FOLDER = "key.json", "logs"
TEXT = "text/plain; charset=utf-8"


class WitnessStateError(LedgerError):
    """A file of the witness cannot be read. Nothing is cosigned until somebody has looked."""


@dataclass(frozen=True, slots=True)
class WatchedLog:
    """One log: the keys that may sign it, and the newest of its checkpoints that was cosigned."""

    origin: str
    vkeys: tuple[str, ...]
    head: TreeHead = EMPTY_HEAD


class FolderStore:
    """The logs of one witness. Every change is made under the log's lock and is on the disk when it returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / LOGS_FOLDER

    def verifiers(self, origin: str) -> Sequence[NoteVerifier]:
        found = self._load(origin)
        return [NoteVerifier.from_vkey(vkey) for vkey in found.vkeys] if found else []

    def head(self, origin: str) -> TreeHead:
        found = self._load(origin)
        return found.head if found else EMPTY_HEAD

    def replace_head(self, origin: str, old: TreeHead, new: TreeHead) -> TreeHead:
        path = self._path(origin)
        with locked(path):
            found = self._load(origin)
            if found is None or found.head != old:
                return self.head(origin)
            if new != old:
                replace_file(path, format_watched_log(replace(found, head=new)))
            return new

    def add(self, vkey: str) -> WatchedLog:
        """Watch the log that this key signs for, or trust another key of one that is watched."""
        origin = NoteVerifier.from_vkey(vkey).name
        path = self._path(origin)
        with locked(path):
            found = self._load(origin) or WatchedLog(origin, ())
            if vkey not in found.vkeys:
                found = replace(found, vkeys=(*found.vkeys, vkey))
                replace_file(path, format_watched_log(found))
        return found

    def logs(self) -> list[WatchedLog]:
        return [parse_watched_log(path.read_bytes()) for path in sorted(self._folder.glob("*.json"))]

    def _path(self, origin: str) -> Path:
        return self._folder / f"{sha256(origin.encode()).hexdigest()[:32]}.json"  # an origin may hold a slash

    def _load(self, origin: str) -> WatchedLog | None:
        try:
            found = parse_watched_log(self._path(origin).read_bytes())
        except FileNotFoundError:
            return None
        if found.origin != origin:
            raise WitnessStateError("witness_state_malformed")
        return found


def format_watched_log(watched: WatchedLog) -> bytes:
    head = {"size": watched.head.size, "root": b64encode(watched.head.root).decode()}
    return json.dumps({"origin": watched.origin, "vkeys": watched.vkeys, **head}, ensure_ascii=False, indent=1).encode()


def parse_watched_log(data: bytes) -> WatchedLog:
    try:
        document = json.loads(data)
        size, root = document["size"], b64decode(document["root"], validate=True)
        watched = WatchedLog(str(document["origin"]), tuple(map(str, document["vkeys"])), TreeHead(size, root))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise WitnessStateError("witness_state_malformed") from None
    if type(size) is not int or size < 0 or len(root) != HASH_SIZE_BYTES:
        raise WitnessStateError("witness_state_malformed")
    return watched


def load_signer(folder: Path) -> CosignatureSigner:
    try:
        document = json.loads((folder / KEY_FILE).read_bytes())
        private_key = Ed25519PrivateKey.from_private_bytes(b64decode(document["private_key"], validate=True))
        return CosignatureSigner(str(document["name"]), private_key)
    except OSError:
        raise NotFoundError("witness_key_missing") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise WitnessStateError("witness_key_malformed") from None


def create_witness(folder: str, clock: Callable[[], int] = now_ms) -> Flask:
    """What gunicorn serves: POST /add-checkpoint (https://c2sp.org/tlog-witness#add-checkpoint) and nothing else."""
    app = Flask("witness")
    app.config["MAX_CONTENT_LENGTH"] = REQUEST_SIZE_MAX_BYTES
    witness = Witness(load_signer(Path(folder)), FolderStore(Path(folder)))

    @app.post("/add-checkpoint")
    def add_checkpoint() -> Response:
        try:
            return Response(witness.add_checkpoint(request.get_data(), clock()), 200, content_type=TEXT)
        except WitnessRefusal as refusal:
            log.warning("witness_refused", status=refusal.status, reason=refusal.reason)
            if refusal.size is not None:
                return Response(format_size(refusal.size), refusal.status, headers={"Content-Type": SIZE_CONTENT_TYPE})
            return Response(f"{refusal.reason}\n", refusal.status, content_type=TEXT)
        except (LedgerError, OSError) as error:
            log.error("witness_failed", **error_fields(error))
            return Response("witness_failed\n", 503, content_type=TEXT)

    return app


@click.group()
def witness() -> None:
    """A witness for other ledgers' checkpoints."""


folder_argument = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
log_option = click.option(
    "--log", "vkey", required=True, help="Public key of the log, as `flask keys public` shows it."
)


@witness.command("init")
@folder_argument
@click.option("--name", required=True, help="Name of the witness, for ever: e.g. witness.example.org/w1")
@log_option
@command
def init(operator: Operator, speak: Speaker, folder: Path, name: str, vkey: str) -> None:
    """Make a witness: its key (0400), and the first log that it watches."""
    NoteVerifier.from_vkey(vkey)
    signer = CosignatureSigner(name, Ed25519PrivateKey.generate())
    private_key = b64encode(signer.private_key.private_bytes_raw()).decode()
    (folder / LOGS_FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        document = json.dumps({"name": name, "private_key": private_key}, ensure_ascii=False)
        create_file(folder / KEY_FILE, document.encode(), mode=0o400)
    except FileExistsError:
        raise RefusedError("witness_exists") from None
    FolderStore(folder).add(vkey)
    speak.document({"folder": str(folder), "key": signer.verifier().vkey()})


@witness.command("add-log")
@folder_argument
@log_option
@command
def add_log(operator: Operator, speak: Speaker, folder: Path, vkey: str) -> None:
    """Watch another log, or trust a new key of one that is watched. No restart is needed."""
    load_signer(folder)
    watched = FolderStore(folder).add(vkey)
    speak.document({"origin": watched.origin, "keys": len(watched.vkeys), "size": watched.head.size})


@witness.command("show")
@folder_argument
@command
def show(operator: Operator, speak: Speaker, folder: Path) -> None:
    """Show the witness' public key, and each log with the size that was last cosigned."""
    logs = [{"origin": one.origin, "size": one.head.size} for one in FolderStore(folder).logs()]
    speak.document({"key": load_signer(folder).verifier().vkey(), "logs": logs})
