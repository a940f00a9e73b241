"""The ledger in public: checkpoint, hash tiles and fresh proofs for everybody, whole leaves for auditors only.

The layout is https://c2sp.org/tlog-tiles, made from the stored nodes on demand. Nothing beyond the newest signed size
is given out: nobody could check it yet, and the signer has not checked it either.
"""

from base64 import b64encode
from collections.abc import Callable, Sequence

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import Connection, func, select

from ledger import tlog
from ledger.checkpoints import newest_checkpoint
from ledger.errors import NotFoundError
from ledger.log import node_reader, read_entries
from ledger.note import Checkpoint, NoteError, parse_checkpoint, unverified_text
from ledger.tables import ledger_checkpoint
from ledger.tiles import Tile, TileError, format_bundle, parse_bundle_path, parse_tile_path, read_tile
from schemas.presented_receipt import (
    PresentedReceipt,
    PresentedReceiptRefused,
    read_presented_receipt,
)
from schemas.refusal import Refused
from webhooks.door import Door
from webhooks.requests import JSON, content_type, parse_body, raw_body
from webhooks.routes import verified
from webhooks.signatures import verify_secret

# https://c2sp.org/tlog-tiles#checkpoints "its headers SHOULD prevent caching beyond a few seconds"
CHECKPOINT_CACHE = "public, max-age=5"
# https://c2sp.org/tlog-tiles#merkle-tree "This endpoint is immutable", a partial tile too: its path names its width.
TILE_CACHE = "public, max-age=31536000, immutable"
LEAVES_CACHE = "private, no-store"
TEXT, BYTES = "text/plain; charset=utf-8", "application/octet-stream"


def ledger_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("ledger", __name__, url_prefix="/ledger")

    @blueprint.get("/checkpoint")
    def checkpoint() -> Response:
        with door.database.read() as connection:
            newest = newest_checkpoint(connection)
            if newest is None:
                raise Refused(404, "nothing_signed_yet")
            return _answer(newest[1], TEXT, CHECKPOINT_CACHE)

    @blueprint.get("/tile/<path:name>")
    def tile(name: str) -> Response:
        wanted = _parse(parse_tile_path, f"tile/{name}")
        with door.database.read() as connection:
            _check_signed(connection, wanted)
            return _answer(read_tile(wanted, node_reader(connection)), BYTES, TILE_CACHE)

    @blueprint.get("/tile/entries/<path:name>")
    @verified
    def entries(name: str) -> Response:
        _verify_auditor(door)
        wanted = _parse(parse_bundle_path, f"tile/entries/{name}")
        with door.database.read() as connection:
            _check_signed(connection, wanted)
            return _answer(format_bundle(_leaves(connection, wanted)), BYTES, LEAVES_CACHE)

    @blueprint.post("/proofs")
    def proofs() -> Response:
        receipt, old = _presented(parse_body(raw_body(request), content_type(request, (JSON,))))
        with door.database.read() as connection:
            return jsonify(_prove(connection, receipt, old))

    @blueprint.after_request
    def _challenge(response: Response) -> Response:
        if response.status_code == 401:  # RFC 9110, 15.5.2: must say what would let the caller in
            response.headers["WWW-Authenticate"] = 'Bearer realm="ledger"'
        return response

    return blueprint


def _answer(body: str | bytes, media_type: str, cache: str) -> Response:
    return Response(body, content_type=media_type, headers={"Cache-Control": cache})


def _parse(parse: Callable[[str], Tile], path: str) -> Tile:
    try:
        return parse(path)
    except TileError:
        raise Refused(404, "tile_not_found") from None


def _check_signed(connection: Connection, tile: Tile) -> None:
    signed_size = connection.execute(select(func.max(ledger_checkpoint.c.size))).scalar() or 0
    if tile.tree_size_min > signed_size:
        raise Refused(404, "tile_not_found")


def _verify_auditor(door: Door) -> None:
    """RFC 6750, 2.1. Leaves are pseudonymous as long as a handle leads to a person, so they are not for everybody."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    verify_secret(key if scheme.lower() == "bearer" else "", door.settings.auditor_keys)


def _leaves(connection: Connection, tile: Tile) -> list[bytes]:
    leaves = [entry.leaf for entry in read_entries(connection, tile.first, tile.first + tile.width)]
    if len(leaves) != tile.width:
        raise NotFoundError("ledger_leaf_missing")
    return leaves


def _presented(document: object) -> tuple[PresentedReceipt, Checkpoint]:
    """The receipt, and the checkpoint that it was given under. Nothing of it is believed."""
    try:
        receipt = read_presented_receipt(document)
        checkpoint = parse_checkpoint(unverified_text(receipt.checkpoint))
    except (PresentedReceiptRefused, NoteError):
        raise Refused(422, "receipt_malformed") from None
    if any(entry.position >= checkpoint.size for entry in receipt.entries):
        raise Refused(422, "receipt_malformed")
    return receipt, checkpoint


def _prove(connection: Connection, receipt: PresentedReceipt, old: Checkpoint) -> dict[str, object]:
    """The newest checkpoint, the proof that it continues the receipt's, and the proof of each entry in it.

    Whoever has no leaf learns nothing here that the hash tiles do not tell everybody.
    """
    newest = newest_checkpoint(connection)
    if newest is None:  # but somebody has a checkpoint: the ledger was set back to nothing
        raise Refused(409, "another_history")
    size, note = newest
    new = parse_checkpoint(unverified_text(note))
    # (1) Of another ledger: no alarm.
    if old.origin != new.origin:
        raise Refused(404, "leaf_not_in_ledger")
    # (2) The same history. Before the leaves: it is what a person must learn, whatever else is wrong.
    if old.size > size:
        raise Refused(409, "another_history")
    read = node_reader(connection)
    consistency = tlog.prove_consistency(old.size, size, read)
    try:
        tlog.check_consistency(old.size, old.root, size, new.root, consistency)
    except tlog.TreeProofError:
        raise Refused(409, "another_history") from None
    # (3) The leaves, all of them. One answer for every fault, so it does not say which of several was right.
    hashes = [tlog.leaf_hash(entry.leaf) for entry in receipt.entries]
    positions = [entry.position for entry in receipt.entries]
    if tlog.read_hashes([tlog.stored_index(0, position) for position in positions], read) != hashes:
        raise Refused(404, "leaf_not_in_ledger")
    proofs = tlog.prove_inclusions(positions, size, read)
    for position, leaf_hash, proof in zip(positions, hashes, proofs, strict=True):
        tlog.check_inclusion(leaf_hash, position, size, proof, new.root)  # no wrong proof of ours gets out of here
    entries = [
        {"position": position, "proof": _encode(proof)} for position, proof in zip(positions, proofs, strict=True)
    ]
    return {"checkpoint": note, "consistency": _encode(consistency), "entries": entries}


def _encode(hashes: Sequence[bytes]) -> list[str]:
    return [b64encode(hash_).decode() for hash_ in hashes]
