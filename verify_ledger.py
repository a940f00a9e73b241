#!/usr/bin/env python3
"""Verify a Samtykke ledger, or a receipt out of one, without Samtykke.

    python verify_ledger.py export DIR --key KEY [--checkpoint NOTE ...] [--witness KEY ...]
        Are these all the entries that were signed, unchanged? Does every older checkpoint NOTE fit?
    python verify_ledger.py receipt FILE --receipt-key KEY --key KEY [--witness KEY ...] [--export DIR]
        Are the entries of this receipt in the signed ledger? With --export: in this copy of it?
    python verify_ledger.py subject DIR HANDLE --key KEY [--checkpoint NOTE ...]
        Every entry about one handle, out of an export that is verified on the way.
    python verify_ledger.py consistency OLD NEW --key KEY
        Does NEW (an export) continue OLD (an export or a checkpoint)?

KEY is a public key as it was published: name+id+base64. Give --key again for each key the ledger has had, and
--witness for each witness that must have cosigned. This one file needs Python 3.9 or newer and `cryptography`
(pip install cryptography), no network, and none of the code that wrote the ledger: it is written from
docs/ledger-format.md alone.

Exit codes: 0 it verifies; 1 it does not, and one line on standard error says why: `refused: <reason>`;
2 the command or a key in it is wrong; 3 a file cannot be read, or the question cannot be answered from these files.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, BinaryIO, NamedTuple, NoReturn

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    sys.stderr.write("cryptography_missing: pip install cryptography\n")
    sys.exit(3)

LINE_SIZE_MAX_BYTES = 65_536
NOTE_SIZE_MAX_BYTES = 1_000_000
RECEIPT_SIZE_MAX_BYTES = 10_000_000
SIGNATURES_MAX = 100
LOG_KEY, WITNESS_KEY = b"\x01", b"\x04"  # the first byte of a public key says what it signs
TIME_MAX_S = 253_402_300_799  # the last second of the year 9999
RECEIPT = "samtykke-receipt/v2"
COMMITMENT = b"samtykke/commitment/v1\x00"


class Refused(Exception):
    """What was given does not verify. `position`: of the entry at fault, `size`: of the checkpoint, where one is."""

    def __init__(self, reason: str, position: int | None = None, size: int | None = None) -> None:
        at = f" at entry {position}" if position is not None else ""
        super().__init__(reason + at + (f" of size {size}" if size is not None else ""))


class Unanswerable(Exception):
    """The question cannot be answered from what was given."""


class Misused(Exception):
    """An argument cannot be used."""


# Leaves: "The leaf" in docs/ledger-format.md.

IDENTIFIER = "[a-z0-9][a-z0-9_.:-]{0,79}"
HEX_16, HEX_32 = "[0-9a-f]{32}", "[0-9a-f]{64}"
TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z"
NUMBER = "[1-9][0-9]{0,14}"

# The consent kinds have a `state`, and each its own; no other kind has one.
STATES = {
    "consent.requested": "dpv:ConsentRequested",
    "consent.given": "dpv:ConsentGiven",
    "consent.refused": "dpv:ConsentRefused",
    "consent.withdrawn": "dpv:ConsentWithdrawn",
    "consent.revoked": "dpv:ConsentRevoked",
    "consent.expired": "dpv:ConsentExpired",
}
KINDS = (
    *STATES,
    *("purchase.recorded", "customer.recorded", "request.received", "request.confirmed", "request.expired"),
    *("request.extended", "request.refused", "request.completed"),
    *(
        "processor.reported",
        "profile.recorded",
        "access.granted",
        "access.revoked",
        "minimisation.dropped",
    ),
    *("relay.completed", "relay.parked", "relay.resolved", "drift.found", "processor.paused", "processor.resumed"),
    *("delivery.replayed", "relay.replayed", "payload.revealed", "payload.opened", "payload.redacted"),
    *(
        "subject.erased",
        "erasure.completed",
        "subject.rectified",
        "subject.restricted",
        "subject.unrestricted",
        "subject.expired",
        "subject.told",
    ),
    *("ledger.key", "ledger.restored", "ledger.audited"),
)


def one_of(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, words))


# In the order in which they stand in a leaf. Numbers stand without quotation marks.
MEMBERS = {
    "action": IDENTIFIER,
    "basis": one_of(["consent", "contract", "legal_obligation"]),
    "commitment": HEX_32,
    "count": NUMBER,
    "fact": IDENTIFIER,
    "field": one_of(["email", "first_name", "last_name", "company", "other"]),
    "id": HEX_16,
    "key": IDENTIFIER,
    "key_version": NUMBER,
    "kind": one_of(KINDS),
    "method": one_of(["form", "one_click", "web_form", "double_opt_in", "stripe", "mail", "operator"]),
    "notice": IDENTIFIER,
    "notice_sha256": HEX_32,
    "occurred_at": TIME,
    "outcome": IDENTIFIER,
    "processor": IDENTIFIER,
    "product": IDENTIFIER,
    "public_key_sha256": HEX_32,
    "purpose": IDENTIFIER,
    "reason": IDENTIFIER,
    "received_at": TIME,
    "recorded_at": TIME,
    "ref": HEX_16,
    "retained_until": TIME,
    "right": one_of(["access", "rectification", "erasure", "restriction", "objection", "portability"]),
    "rule": IDENTIFIER,
    "source": IDENTIFIER,
    "state": one_of(STATES.values()),
    "subject": HEX_16,
}
ALWAYS = {"id", "kind", "recorded_at"}
TIMES = [name for name, pattern in MEMBERS.items() if pattern == TIME]
READ = {"commitment", "kind", "public_key_sha256", "state", "subject", *TIMES}


def leaf_pattern() -> re.Pattern[bytes]:
    parts = []
    for name, pattern in MEMBERS.items():
        value = f"(?P<{name}>{pattern})" if name in READ else f"(?:{pattern})"
        member = f'"{name}":{value},' if pattern == NUMBER else f'"{name}":"{value}",'
        parts.append(member if name in ALWAYS else f"(?:{member})?")
    return re.compile(("\\{" + "".join(parts) + '"v":1\\}').encode())


LEAF = leaf_pattern()


def check_leaf(leaf: bytes, position: int) -> re.Match[bytes]:
    found = LEAF.fullmatch(leaf)
    if not found:
        raise Refused(what_is_wrong_with(leaf), position)
    if (found["state"] or b"").decode() != STATES.get(found["kind"].decode(), ""):
        raise Refused("state_does_not_fit_kind", position)
    for name in TIMES:
        if found[name]:
            check_time(found[name], position)
    return found


def check_time(text: bytes, position: int) -> None:
    try:
        datetime.fromisoformat(text[:-1].decode())  # without the Z, which Python reads only from 3.11 on
    except ValueError:
        raise Refused("time_impossible", position) from None


def what_is_wrong_with(leaf: bytes) -> str:
    if leaf.endswith(b"\r"):
        return "line_ends_changed"
    try:
        if leaf == canonical(parse_json(leaf)):
            return "leaf_outside_vocabulary"
    except ValueError:
        pass
    return "leaf_not_canonical"


# Canonical JSON: RFC 8785, for objects with ASCII names and without fractions.


def canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse_json(data: bytes) -> dict[str, Any]:
    """An object that has one canonical form; ValueError for anything else."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs) or not all(name.isascii() for name in found):
            raise ValueError
        return found

    def whole(text: str) -> int:
        number = int(text)
        if abs(number) >= 2**53:  # beyond it, readers differ
            raise ValueError
        return number

    def refuse(_: str) -> NoReturn:
        raise ValueError

    try:
        document = json.loads(
            data.decode(), object_pairs_hook=members, parse_int=whole, parse_float=refuse, parse_constant=refuse
        )
    except RecursionError:
        raise ValueError from None
    if not isinstance(document, dict):
        raise ValueError
    return document


# The tree: RFC 6962, section 2.1, and the check of an inclusion proof of RFC 9162, section 2.1.3.2.


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """The roots of the complete subtrees so far, largest first; there are never more than 63."""

    def __init__(self) -> None:
        self.size = 0
        self.subtrees: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        self.subtrees.append(leaf_hash(leaf))
        self.size += 1
        # Each time the size can be halved, two subtrees of one height have met.
        halved = self.size
        while halved % 2 == 0:
            right = self.subtrees.pop()
            self.subtrees.append(node_hash(self.subtrees.pop(), right))
            halved //= 2

    def root(self) -> bytes:
        if not self.subtrees:
            return sha256().digest()
        root = self.subtrees[-1]
        for left in self.subtrees[-2::-1]:
            root = node_hash(left, root)
        return root


def check_inclusion(leaf: bytes, position: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    if not 0 <= position < size:
        raise Refused("proof_failed", position)
    node, last, computed = position, size - 1, leaf_hash(leaf)
    for sibling in proof:
        if last == 0:
            raise Refused("proof_failed", position)
        if node % 2 or node == last:
            computed = node_hash(sibling, computed)
            while node % 2 == 0 and node:  # a last node without a sibling moved up as it is
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    if last or computed != root:
        raise Refused("proof_failed", position)


# Signed notes and checkpoints: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature.

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
CHECKPOINT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*")


class Key(NamedTuple):
    name: str
    key_id: bytes
    public: bytes

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}"


class Checkpoint(NamedTuple):
    """`signed_by`, `cosigned_by`: what to tell about it."""

    origin: str
    size: int
    root: bytes
    signed_by: list[str]
    cosigned_by: list[str]


def decode_base64(text: str) -> bytes:
    """ValueError for every spelling but the usual one."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError
    return data


def parse_key(text: str, kind: bytes) -> Key:
    try:
        name, key_id, encoded = text.split("+", 2)
        material = decode_base64(encoded)
        expected = sha256(name.encode() + b"\n" + material).digest()[:4]
    except ValueError:
        raise Misused("key_malformed") from None
    if material[:1] != kind or len(material) != 33 or key_id != expected.hex():
        raise Misused("key_malformed")
    if not re.fullmatch(r"[^\s+]+", name) or CONTROL.search(name):
        raise Misused("key_malformed")
    return Key(name, expected, material[1:])


def check_signature(key: Key, signature: bytes, message: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Refused("signature_invalid") from None


def split_note(data: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """The text, and of each signature line the name, the key id and the signature."""
    if b"\r" in data:
        raise Refused("line_ends_changed")
    try:
        text, blank_line, signatures = data.decode().rpartition("\n\n")
        *lines, after_last_newline = signatures.split("\n")
        if not blank_line or after_last_newline or not 1 <= len(lines) <= SIGNATURES_MAX or CONTROL.search(text):
            raise ValueError
        found = []
        for line in lines:
            name, encoded = SIGNATURE_LINE.fullmatch(line).groups()  # type: ignore[union-attr]
            material = decode_base64(encoded)
            if len(material) < 5 or CONTROL.search(name):
                raise ValueError
            found.append((name, material[:4], material[4:]))
    except (ValueError, AttributeError):
        raise Refused("note_malformed") from None
    return text + "\n", found


def open_note(data: bytes, keys: Sequence[Key], witnesses: Sequence[Key] = ()) -> tuple[str, list[Key], dict[Key, int]]:
    """The text, the given keys that signed it, and when each given witness did. Lines of others do not count."""
    text, lines = split_note(data)
    signed_by: list[Key] = []
    cosigned_at: dict[Key, int] = {}
    for name, key_id, signature in lines:
        for key in keys:
            if (key.name, key.key_id) == (name, key_id):
                check_signature(key, signature, text.encode())
                signed_by.append(key)
        for key in witnesses:
            if (key.name, key.key_id) == (name, key_id):
                at_s = int.from_bytes(signature[:8], "big")
                check_signature(key, signature[8:], f"cosignature/v1\ntime {at_s}\n{text}".encode())
                cosigned_at[key] = max(at_s, cosigned_at.get(key, 0))
    if not signed_by:
        raise Refused("not_signed_by_given_key")
    if len(cosigned_at) != len(set(witnesses)):
        raise Refused("not_cosigned_by_given_witness")
    return text, signed_by, cosigned_at


def open_checkpoint(data: bytes, keys: Sequence[Key], witnesses: Sequence[Key] = ()) -> Checkpoint:
    text, signed_by, cosigned_at = open_note(data, keys, witnesses)
    found = CHECKPOINT.fullmatch(text)
    try:
        origin, size, root = found[1], int(found[2]), decode_base64(found[3])  # type: ignore[index]
        if size >= 2**63:
            raise ValueError
    except (TypeError, ValueError):
        raise Refused("checkpoint_malformed") from None
    # A key speaks for the ledger of its own name: another one's key must not vouch for this one.
    if any(key.name != origin for key in signed_by):
        raise Refused("origin_is_not_the_name_of_the_key")
    witnessed = [f"{key} at {format_time(at_s)}" for key, at_s in cosigned_at.items()]
    return Checkpoint(origin, size, root, sorted(map(str, signed_by)), witnessed)


def format_time(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s)) if at_s <= TIME_MAX_S else f"second {at_s}"


# Exports


class Export(NamedTuple):
    checkpoint: Checkpoint
    kinds: Counter[str]


def read_leaves(file: BinaryIO) -> Iterator[bytes]:
    for position, line in enumerate(iter(lambda: file.readline(LINE_SIZE_MAX_BYTES), b"")):
        if not line.endswith(b"\n"):
            raise Refused("line_incomplete", position)
        yield line[:-1]


def verify_export(
    folder: str,
    keys: Sequence[Key],
    witnesses: Sequence[Key] = (),
    older: Iterable[Checkpoint] = (),
    see: Callable[[int, bytes, re.Match[bytes]], object] = lambda *_: None,
) -> Export:
    """All of it in one pass. `older`: checkpoints of the same ledger, each of which must be a beginning of it."""
    checkpoint = open_checkpoint(read_note(folder), keys, witnesses)
    roots = roots_by_size([checkpoint, *older])
    if max(roots) > checkpoint.size:
        raise Refused("ledger_cut_short")
    tree, kinds = Tree(), Counter[str]()
    if roots.get(0, tree.root()) != tree.root():
        raise Refused("checkpoint_differs", size=0)
    with open(os.path.join(folder, "entries.ndjson"), "rb") as file:
        for position, leaf in enumerate(read_leaves(file)):
            if position == checkpoint.size:
                raise Refused("more_entries_than_signed", position)
            found = check_leaf(leaf, position)
            tree.append(leaf)
            kinds[found["kind"].decode()] += 1
            if tree.size in roots and roots[tree.size] != tree.root():
                raise Refused("root_differs" if tree.size == checkpoint.size else "checkpoint_differs", size=tree.size)
            see(position, leaf, found)
    if tree.size < checkpoint.size:
        raise Refused("entries_missing", tree.size)
    return Export(checkpoint, kinds)


def roots_by_size(checkpoints: Sequence[Checkpoint]) -> dict[int, bytes]:
    """Of checkpoints that are said to be of one history."""
    roots: dict[int, bytes] = {}
    for one in checkpoints:
        if one.origin != checkpoints[0].origin:
            raise Refused("checkpoint_of_another_ledger")
        if roots.setdefault(one.size, one.root) != one.root:
            raise Refused("two_roots_for_one_size", size=one.size)
    return roots


# Receipts


class Entry(NamedTuple):
    """`disclosed`: the salt and the payload of its commitment, where the receipt shows them."""

    leaf: bytes
    position: int
    proof: list[bytes]
    disclosed: tuple[bytes, bytes] | None


def verify_receipt(
    data: bytes, receipt_keys: Sequence[Key], keys: Sequence[Key], witnesses: Sequence[Key] = ()
) -> tuple[Checkpoint, list[Entry]]:
    """The entries that a receipt proves. What it says beside them is signed, but no part of the ledger."""
    try:
        document = parse_json(data)
        signature = document.pop("signature").encode()
        digest = base64.b64encode(leaf_hash(canonical(document))).decode()
        note = document["ledger"]["checkpoint"].encode()
        entries = [parse_entry(entry) for entry in document["ledger"]["entries"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused("receipt_malformed") from None
    if open_note(signature, receipt_keys)[0] != f"{RECEIPT}\n{digest}\n":
        raise Refused("receipt_changed")
    checkpoint = open_checkpoint(note, keys, witnesses)
    if not entries:
        raise Refused("receipt_without_entries")
    for entry in entries:
        found = check_leaf(entry.leaf, entry.position)
        check_inclusion(entry.leaf, entry.position, checkpoint.size, entry.proof, checkpoint.root)
        if entry.disclosed:  # "Commitments" in docs/ledger-format.md
            committed = sha256(COMMITMENT + b"".join(entry.disclosed)).hexdigest()
            if committed.encode() != found["commitment"]:
                raise Refused("disclosure_differs", entry.position)
    return checkpoint, entries


def parse_entry(entry: Any) -> Entry:
    proof = [decode_base64(node) for node in entry["proof"]]
    if type(entry["position"]) is not int or any(len(node) != 32 for node in proof):
        raise ValueError
    disclosed = None
    if "disclosure" in entry:
        shown = entry["disclosure"]
        payload = shown["payload"].encode() if "payload" in shown else decode_base64(shown["payload_base64"])
        disclosed = decode_base64(shown["salt"]), payload
    return Entry(entry["leaf"].encode(), entry["position"], proof, disclosed)


# The commands


def read_file(path: str, size_max_bytes: int) -> bytes:
    with open(path, "rb") as file:
        data = file.read(size_max_bytes + 1)
    if len(data) > size_max_bytes:
        raise Refused("file_too_large")
    return data


def read_note(path: str) -> bytes:
    """That of an export, or one by itself."""
    return read_file(os.path.join(path, "checkpoint") if os.path.isdir(path) else path, NOTE_SIZE_MAX_BYTES)


def older_checkpoints(options: argparse.Namespace) -> list[Checkpoint]:
    return [open_checkpoint(read_note(path), options.key) for path in options.checkpoint]


def say(name: str, value: object) -> None:
    sys.stdout.write(f"{name:<12} {value}\n")


def tell_checkpoint(checkpoint: Checkpoint) -> None:
    say("ledger", checkpoint.origin)
    say("size", checkpoint.size)
    say("root", base64.b64encode(checkpoint.root).decode())
    for key in checkpoint.signed_by:
        say("signed by", key)
    for witness in checkpoint.cosigned_by:
        say("cosigned by", witness)


def run_export(options: argparse.Namespace) -> None:
    older = older_checkpoints(options)
    keys = {sha256(key.public).hexdigest().encode(): key for key in options.key}
    announced: dict[Key, int] = {}

    def see(position: int, _: bytes, found: re.Match[bytes]) -> None:
        if found["public_key_sha256"] in keys:  # the first time: it is named again when it is used and retired
            announced.setdefault(keys[found["public_key_sha256"]], position)

    export = verify_export(options.folder, options.key, options.witness, older, see)
    say("verified", f"{export.checkpoint.size} entries")
    tell_checkpoint(export.checkpoint)
    for key, position in announced.items():
        say("announced", f"{key} by entry {position}")
    for one in older:
        say("continues", f"the checkpoint of size {one.size}")
    for kind, count in sorted(export.kinds.items()):
        say("entries", f"{count:>9} {kind}")


def run_receipt(options: argparse.Namespace) -> None:
    data = read_file(options.file, RECEIPT_SIZE_MAX_BYTES)
    checkpoint, entries = verify_receipt(data, options.receipt_key, options.key, options.witness)
    if options.export:
        leaves = {entry.position: entry.leaf for entry in entries}

        def see(position: int, leaf: bytes, _: object) -> None:
            if leaves.get(position, leaf) != leaf:
                raise Refused("receipt_differs_from_export", position)

        verify_export(options.export, options.key, older=[checkpoint], see=see)
    say("verified", f"{len(entries)} entries" + (", and all of them are in the export" if options.export else ""))
    tell_checkpoint(checkpoint)
    for entry in entries:
        say(f"entry {entry.position}", entry.leaf.decode() + (" (payload disclosed)" if entry.disclosed else ""))


def run_subject(options: argparse.Namespace) -> None:
    if not re.fullmatch(HEX_16, options.handle):
        raise Misused("handle_malformed")
    handle, entries = options.handle.encode(), []

    def see(position: int, leaf: bytes, found: re.Match[bytes]) -> None:
        if found["subject"] == handle:
            entries.append((position, leaf))

    export = verify_export(options.folder, options.key, options.witness, older_checkpoints(options), see)
    say("verified", f"{len(entries)} entries of {export.checkpoint.size} are about this handle, and no others")
    tell_checkpoint(export.checkpoint)
    for position, leaf in entries:
        say(f"entry {position}", leaf.decode())


def run_consistency(options: argparse.Namespace) -> None:
    if os.path.isdir(options.old):
        old = verify_export(options.old, options.key).checkpoint
    else:
        old = open_checkpoint(read_note(options.old), options.key)
    if os.path.isdir(options.new):
        new = verify_export(options.new, options.key, older=[old]).checkpoint
    else:
        new = open_checkpoint(read_note(options.new), options.key)
        roots_by_size([old, new])
        if new.size != old.size:
            raise Unanswerable("two_notes_alone_do_not_tell: NEW must be an export")
    say("verified", f"size {new.size} continues size {old.size}")
    tell_checkpoint(new)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify_ledger.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command", metavar="export | receipt | subject | consistency")

    def command(name: str, run: Callable[[argparse.Namespace], None], *positional: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name)
        added.set_defaults(run=run, receipt_key=[], checkpoint=[], witness=[])
        for one in positional:
            added.add_argument(one)
        added.add_argument("--key", action="append", required=True, help="a public key of the ledger")
        return added

    exported = command("export", run_export, "folder")
    received = command("receipt", run_receipt, "file")
    received.add_argument("--receipt-key", action="append", required=True, help="a public key of its receipts")
    received.add_argument("--export", metavar="DIR", help="a copy of the ledger that must hold these entries")
    about = command("subject", run_subject, "folder", "handle")
    command("consistency", run_consistency, "old", "new")
    for one in (exported, about):
        one.add_argument("--checkpoint", action="append", metavar="NOTE", help="a checkpoint that was kept elsewhere")
    for one in (exported, received, about):
        one.add_argument("--witness", action="append", metavar="KEY", help="a witness that must have cosigned")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):  # a name in letters that this terminal lacks must not end it
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = arguments().parse_args(words)
    try:
        options.key = [parse_key(one, LOG_KEY) for one in options.key]
        options.receipt_key = [parse_key(one, LOG_KEY) for one in options.receipt_key]
        options.witness = [parse_key(one, WITNESS_KEY) for one in options.witness]
        options.run(options)
    except Refused as error:
        sys.stderr.write(f"refused: {error}\n")
        return 1
    except Misused as error:
        sys.stderr.write(f"wrong use: {error}\n")
        return 2
    except Unanswerable as error:
        sys.stderr.write(f"cannot tell: {error}\n")
        return 3
    except OSError as error:
        sys.stderr.write(f"cannot read: {error.filename!r}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
