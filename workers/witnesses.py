"""The client of a C2SP witness: shows it our newest checkpoint, and keeps the cosignature that it answers with.

https://c2sp.org/tlog-witness#add-checkpoint. Two of its answers are no failure of the transport: that it has seen more
of this ledger than there is, or another one under its name. After those nothing may be recorded until it is restored.
"""

from urllib.parse import urlsplit

from sqlalchemy import Connection

from ledger import tlog
from ledger.checkpoints import newest_checkpoint, newest_cosigned, store_cosignatures
from ledger.cosignature import CosignatureVerifier, check_cosignatures
from ledger.database import Database
from ledger.errors import LedgerError
from ledger.log import node_reader, root, size
from ledger.note import parse_checkpoint, unverified_text
from ledger.witness import AddCheckpoint, format_request, parse_size
from workers.outgoing import OutgoingError, OutgoingSession

DEADLINE_S = 10.0
REASON_OF_STATUS = {
    403: "witness_has_another_key",
    404: "witness_does_not_know_the_log",
    422: "witness_saw_another_tree",
    429: "witness_is_busy",
}


class WitnessError(LedgerError):
    """There is no cosignature. The reason is one of ours, never what the witness wrote."""


class _OtherSizeError(WitnessError):
    """The witness cosigned another size than we thought, last."""

    def __init__(self, known: int) -> None:
        super().__init__("witness_has_another_size")
        self.known = known


class WitnessClient:
    """One witness, by its public key and address; reached under the same policy as everything outside."""

    def __init__(self, vkey: str, url: str, allow_loopback: bool = False) -> None:
        self._verifier = CosignatureVerifier.from_vkey(vkey)
        self._url = f"{url}/add-checkpoint"
        hosts = frozenset({urlsplit(url).hostname or ""})
        self._session = OutgoingSession(hosts, allow_loopback, DEADLINE_S)

    def cosign(self, database: Database) -> int:
        """Have the newest checkpoint cosigned and keep the line; returns the size. WitnessError, and nothing kept."""
        with database.read() as connection:
            known = newest_cosigned(connection, self._verifier.name) or 0
        try:
            return self._cosign_from(database, known)
        except _OtherSizeError as other:
            return self._cosign_from(database, other.known)  # once: whoever disagrees again is asked another time

    def _cosign_from(self, database: Database, known: int) -> int:
        """The same, if `known` is the size that the witness cosigned last."""
        with database.read() as connection:
            new_size, request = _request(connection, known)
        status, body = self._post(format_request(request))
        if status != 200:
            raise _refusal(status, body, known, new_size)
        cosigned = check_cosignatures(unverified_text(request.note), body, self._verifier)
        with database.write() as connection:
            store_cosignatures(connection, new_size, [cosigned.line])
        return new_size

    def _post(self, body: bytes) -> tuple[int, str]:
        try:
            answer = self._session.post(self._url, data=body)
        except OutgoingError as error:
            raise WitnessError(f"witness_{error.reason}") from None
        return answer.status_code, answer.content.decode(errors="replace")


def _request(connection: Connection, known: int) -> tuple[int, AddCheckpoint]:
    """(size, request) for the newest checkpoint, with the proof from what the witness has."""
    newest = newest_checkpoint(connection, at_least=max(known, 1))
    if newest is None:
        # More than is signed is not yet more than there is: the database may be a second behind another clock.
        raise WitnessError("witness_is_ahead" if known > size(connection) else "checkpoint_awaited")
    new_size, note = newest
    read = node_reader(connection)
    proof = tlog.prove_consistency(known, new_size, read)
    # A damaged node of ours must not look as if the witness had seen another tree.
    new_root = parse_checkpoint(unverified_text(note)).root
    tlog.check_consistency(known, root(connection, known), new_size, new_root, proof)
    return new_size, AddCheckpoint(known, tuple(proof), note)


def _refusal(status: int, body: str, known: int, new_size: int) -> WitnessError:
    if status != 409:
        return WitnessError(REASON_OF_STATUS.get(status, "witness_failed"))
    other = parse_size(body)
    if other is not None and other != known:
        return _OtherSizeError(other)
    # "If the old size matches the checkpoint size, the witness MUST check that the root hashes are also identical. If
    # they don't match, the witness MUST respond with a "409 Conflict"": with whatever body.
    return WitnessError("witness_saw_another_tree" if known == new_size else "witness_failed")
