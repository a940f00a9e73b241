"""The verifier for strangers: one file, run alone and elsewhere, against a real export and everybody who cheats.

It shares no line with the ledger's own code, so what both accept was written down twice.
"""

import ast
import json
import random
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import verify_ledger
from ledger import tlog
from ledger.checkpoints import newest_checkpoint, note_signers, store_cosignatures
from ledger.cosignature import CosignatureSigner
from ledger.keyring import load_keyring
from ledger.note import Checkpoint, NoteSigner, format_checkpoint, sign_note, unverified_text
from schemas.entry import DPV_STATE_OF_KIND, MEMBERS, Entry, Kind, format_leaf
from tests.guards.source import ROOMS, modules
from tests.guards.test_rooms import imported
from tests.ledger.desk import NOW_MS, append_purchases
from tests.world import ORIGIN, ROOT, World, settings_for

VERIFIER = ROOT / "verify_ledger.py"
VECTORS = json.loads((ROOT / "tests" / "fixtures" / "vectors" / "rfc6962-and-notes.json").read_text("utf-8"))
WITNESS = CosignatureSigner("witness.example.org/w1", Ed25519PrivateKey.from_private_bytes(b"w" * 32))
STRANGER = CosignatureSigner("witness.example.test/w2", Ed25519PrivateKey.from_private_bytes(b"x" * 32))
# What there may be beside what the standard library of Python 3.9 has.
NEEDS = {"cryptography"}


@dataclass(frozen=True)
class Held:
    """What a stranger may hold: an export, an older checkpoint, a person's receipts, and the public keys."""

    entries: bytes
    checkpoint: bytes
    older: bytes
    receipts: tuple[bytes, ...]
    signer: NoteSigner
    receipt_signer: NoteSigner

    @property
    def key(self) -> str:
        return self.signer.vkey()

    @property
    def leaves(self) -> list[bytes]:
        return self.entries.splitlines()

    def sign(self, leaves: Sequence[bytes], *signers: NoteSigner) -> bytes:
        """The checkpoint over these leaves, as whoever has the key can make it."""
        frontier = tlog.Frontier(0, ())
        for leaf in leaves:
            frontier, _ = frontier.append(tlog.leaf_hash(leaf))
        text = format_checkpoint(Checkpoint(ORIGIN, frontier.size, frontier.root()))
        return sign_note(text, signers or [self.signer]).encode()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    world = World(settings_for(tmp_path_factory.mktemp("world")))
    world.give("kari@example.no", newsletter="yes", offers="yes")
    world.sign()
    older = world.command("ledger", "checkpoint").stdout.encode()
    world.carry()
    world.client.post(world.link("w"), data={"List-Unsubscribe": "One-Click"})
    world.record()
    world.sign()
    world.give("ola@example.org")
    append_purchases(world.database, 300)
    world.sign()
    world.carry()
    with world.database.write() as connection:
        size, note = newest_checkpoint(connection) or (0, "")
        store_cosignatures(connection, size, [WITNESS.sign(unverified_text(note), NOW_MS)])
    folder = world.settings.data_dir / "export"
    assert world.command("ledger", "export", str(folder)).exit_code == 0
    keyring = load_keyring("operator", world.settings.keys_dir)
    parts = [part for mail in world.mails() for part in mail.iter_attachments()]
    receipts = [part.get_content() for part in parts if part.get_filename() == "receipt.json"]
    yield Held(
        (folder / "entries.ndjson").read_bytes(),
        (folder / "checkpoint").read_bytes(),
        older,
        tuple(one if isinstance(one, bytes) else str(one).encode() for one in receipts),
        note_signers(keyring["checkpoint"])[0],
        note_signers(keyring["receipt"])[0],
    )
    world.close()


@dataclass(frozen=True)
class Desk:
    """A stranger's folder, and the verifier run in it: isolated, with nothing of the project in reach."""

    folder: Path

    def run(self, *words: object, code: int = 0) -> str:
        """Standard output, or of a run that fails the one line of standard error."""
        done = subprocess.run(
            [sys.executable, "-I", VERIFIER, *map(str, words)], cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
        if code == 0:
            assert done.stderr == ""
            return done.stdout
        assert done.stderr.count("\n") == 1, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr.removesuffix("\n")

    def put(self, name: str, data: bytes) -> Path:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(data)
        return self.folder / name

    def export(self, entries: bytes | Sequence[bytes], checkpoint: bytes, name: str = "export") -> Path:
        data = entries if isinstance(entries, bytes) else b"".join(leaf + b"\n" for leaf in entries)
        self.put(f"{name}/checkpoint", checkpoint)
        return self.put(f"{name}/entries.ndjson", data).parent

    def refuse(self, reason: str, *words: object) -> None:
        assert self.run(*words, code=1).removeprefix("refused: ").partition(" ")[0] == reason


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# A real ledger


def test_a_real_export_verifies(held: Held, desk: Desk) -> None:
    folder, older = desk.export(held.entries, held.checkpoint), desk.put("older", held.older)
    told = desk.run("export", folder, "--key", held.key, "--checkpoint", older, "--witness", WITNESS.verifier().vkey())
    lines = told.splitlines()
    assert lines[0] == f"verified     {len(held.leaves)} entries"
    assert f"ledger       {ORIGIN}" in lines
    assert "cosigned by  witness.example.org/w1+" in told
    assert " at 2096-10-02T07:06:40Z" in told
    kinds = [json.loads(leaf)["kind"] for leaf in held.leaves]
    for kind in set(kinds):
        assert f"entries      {kinds.count(kind):>9} {kind}" in lines


def test_every_receipt_verifies_and_stands_in_the_export(held: Held, desk: Desk) -> None:
    folder = desk.export(held.entries, held.checkpoint)
    assert len(held.receipts) == 3
    for receipt in held.receipts:
        file = desk.put("receipt.json", receipt)
        keys = "--receipt-key", held.receipt_signer.vkey(), "--key", held.key
        told = desk.run("receipt", file, *keys)
        for entry in json.loads(receipt)["ledger"]["entries"]:
            assert entry["leaf"] in told
        assert "all of them are in the export" in desk.run("receipt", file, *keys, "--export", folder)
    assert any("disclosure" in one for one in json.loads(held.receipts[0])["ledger"]["entries"])
    assert "(payload disclosed)" in desk.run("receipt", desk.put("first", held.receipts[0]), *keys)


def test_every_entry_about_one_person_is_listed(held: Held, desk: Desk) -> None:
    folder = desk.export(held.entries, held.checkpoint)
    handles = {json.loads(leaf).get("subject") for leaf in held.leaves} - {None}
    assert len(handles) == 2
    for handle in handles:
        about = [leaf.decode() for leaf in held.leaves if json.loads(leaf).get("subject") == handle]
        lines = desk.run("subject", folder, handle, "--key", held.key).splitlines()
        assert [line.partition("{")[1] + line.partition("{")[2] for line in lines if "{" in line] == about
        assert lines[0].startswith(f"verified     {len(about)} entries of {len(held.leaves)} ")
    told = desk.run("subject", folder, "0" * 32, "--key", held.key)
    assert told.startswith("verified     0 entries")
    hidden = desk.export([leaf for leaf in held.leaves if b"consent.withdrawn" not in leaf], held.checkpoint, "hidden")
    desk.refuse("entries_missing", "subject", hidden, handle, "--key", held.key)
    assert desk.run("subject", folder, "Kari", "--key", held.key, code=2) == "wrong use: handle_malformed"


def test_a_newer_export_continues_an_older_one_or_an_older_checkpoint(held: Held, desk: Desk) -> None:
    new, older = desk.export(held.entries, held.checkpoint), desk.put("older", held.older)
    size = int(held.older.split(b"\n")[1])
    old = desk.export(held.leaves[:size], held.older, "old")
    for one in (old, older, new):
        assert desk.run("consistency", one, new, "--key", held.key).startswith("verified ")
        assert "continues    " in desk.run("export", new, "--key", held.key, "--checkpoint", one)
    assert desk.run("consistency", older, old / "checkpoint", "--key", held.key).startswith("verified ")
    told = desk.run("consistency", older, new / "checkpoint", "--key", held.key, code=3)
    assert told.startswith("cannot tell: two_notes_alone_do_not_tell")
    desk.refuse("ledger_cut_short", "consistency", new, old, "--key", held.key)


def test_a_key_that_was_rotated(held: Held, desk: Desk) -> None:
    """While both versions live, the readers of either read the same note; afterwards the new one is announced."""
    new = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"n" * 32))
    public = tlog.sha256(new.verifier().public_key).hexdigest()
    said = Entry("ab" * 16, Kind.KEY, NOW_MS, key="checkpoint", key_version=2, public_key_sha256=public, reason="added")
    leaves = [*held.leaves, format_leaf(said), format_leaf(replace(said, id="cd" * 16, reason="in_use"))]
    both = desk.export(leaves, held.sign(leaves, new, held.signer), "both")
    for keys in ([held.key], [new.vkey()], [held.key, new.vkey()]):
        told = desk.run("export", both, *(word for key in keys for word in ("--key", key)))
        assert told.count("signed by") == len(keys)
        announced = [f"{ORIGIN}+{new.verifier().key_id.hex()} by entry {len(held.leaves)}"]
        assert re.findall(r"^announced +(.*)$", told, re.MULTILINE) == (announced if new.vkey() in keys else [])
    alone, older = desk.export(leaves, held.sign(leaves, new), "new"), desk.put("older", held.older)
    desk.refuse("not_signed_by_given_key", "export", alone, "--key", held.key)
    desk.refuse("not_signed_by_given_key", "export", alone, "--key", new.vkey(), "--checkpoint", older)
    desk.run("export", alone, "--key", new.vkey(), "--key", held.key, "--checkpoint", older)


# Attacks by somebody without the key: entries and checkpoint as they come


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def lines_changed(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(change(data.splitlines(keepends=True)))


ON_ENTRIES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "an entry says another purpose": ("root_differs", replaced(b'"offers"', b'"information"')),
    "a withdrawal becomes a consent": (
        "state_does_not_fit_kind",
        replaced(b'"kind":"consent.withdrawn"', b'"kind":"consent.given"'),
    ),
    "an entry is taken out": ("root_differs", lines_changed(lambda lines: [*lines[:2], *lines[3:], lines[0]])),
    "two entries change places": ("root_differs", lines_changed(lambda lines: [lines[1], lines[0], *lines[2:]])),
    "the end is cut off": ("entries_missing", lines_changed(lambda lines: lines[:-5])),
    "everything is cut off": ("entries_missing", lambda _: b""),
    "an entry is added": ("more_entries_than_signed", lines_changed(lambda lines: [*lines, lines[0]])),
    "an empty line": ("leaf_not_canonical", lines_changed(lambda lines: [lines[0], b"\n", *lines[1:]])),
    "white space": ("leaf_not_canonical", replaced(b',"kind"', b', "kind"')),
    "an escape": ("leaf_not_canonical", replaced(b'"purchase.recorded"', b'"purchas\\u0065.recorded"')),
    "a member twice": ("leaf_not_canonical", replaced(b',"v":1}', b',"v":1,"v":1}')),
    "a member is taken out": ("root_differs", replaced(b'{"basis":"consent",', b"{")),
    "members in another order": (
        "leaf_not_canonical",
        lines_changed(lambda lines: [json.dumps(dict(reversed(json.loads(lines[0]).items()))).encode() + b"\n"]),
    ),
    "a name in a new member": ("leaf_outside_vocabulary", replaced(b',"v":1}', b',"v":1,"who":"Kari"}')),
    "an address in a known member": ("leaf_outside_vocabulary", replaced(b'"form:newsletter"', b'"kari@example.no"')),
    "another version": ("leaf_outside_vocabulary", replaced(b'"v":1}', b'"v":2}')),
    "a fraction": ("leaf_not_canonical", replaced(b'"v":1}', b'"v":1.0}')),
    "a byte order mark": ("leaf_not_canonical", lambda data: b"\xef\xbb\xbf" + data),
    "an editor that changed the line ends": ("line_ends_changed", replaced(b"\n", b"\r\n")),
    "the last line end": ("line_incomplete", lambda data: data[:-1]),
    "a line without an end": ("line_incomplete", lambda data: b"x" * 1_000_000 + data),
}
ON_CHECKPOINT: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "another size": ("signature_invalid", lambda note: note.replace(b"\n3", b"\n4", 1)),
    "another origin": ("signature_invalid", replaced(b"example.org/test\n", b"example.org/tset\n")),
    "no signature": ("note_malformed", lambda note: note[: note.index("—".encode())]),
    "no text": ("note_malformed", lambda note: note[note.index("—".encode()) :]),
    "not UTF-8": ("note_malformed", replaced("—".encode(), b"\xff")),
    "no last line end": ("note_malformed", lambda note: note[:-1]),
    "a line that is no signature": ("note_malformed", lambda note: note + b"hello\n"),
    "a thousand signatures": ("note_malformed", lambda note: note + note.splitlines(keepends=True)[-1] * 1_000),
    "a control character": ("note_malformed", lambda note: b"\x07" + note),
    "line ends of Windows": ("line_ends_changed", lambda note: note.replace(b"\n", b"\r\n")),
    "a signature of somebody else alone": (
        "not_signed_by_given_key",
        lambda note: note[: note.index("—".encode())] + VECTORS["signed_note"]["signature_line"].encode(),
    ),
    "a huge file": ("file_too_large", lambda note: note + b"x" * 1_000_000),
    "nothing": ("note_malformed", lambda _: b""),
}


@pytest.mark.parametrize("attack", ON_ENTRIES)
def test_changed_entries_are_refused(held: Held, desk: Desk, attack: str) -> None:
    reason, change = ON_ENTRIES[attack]
    entries = change(held.entries)
    assert entries != held.entries
    desk.refuse(reason, "export", desk.export(entries, held.checkpoint), "--key", held.key)


@pytest.mark.parametrize("attack", ON_CHECKPOINT)
def test_a_changed_checkpoint_is_refused(held: Held, desk: Desk, attack: str) -> None:
    reason, change = ON_CHECKPOINT[attack]
    checkpoint = change(held.checkpoint)
    assert checkpoint != held.checkpoint
    desk.refuse(reason, "export", desk.export(held.entries, checkpoint), "--key", held.key)
    good, bad = desk.export(held.entries, held.checkpoint, "good"), desk.put("bad", checkpoint)
    desk.refuse(reason, "export", good, "--key", held.key, "--checkpoint", bad)


# Attacks by somebody who has the key


def test_a_history_that_was_cut_and_signed_again(held: Held, desk: Desk) -> None:
    """By itself it is a ledger like any other; a checkpoint that left the house, or a witness, knows better."""
    size = int(held.older.split(b"\n")[1]) - 1
    folder, older = desk.export(held.leaves[:size], held.sign(held.leaves[:size])), desk.put("older", held.older)
    desk.run("export", folder, "--key", held.key)
    desk.refuse("ledger_cut_short", "export", folder, "--key", held.key, "--checkpoint", older)
    witness = WITNESS.verifier().vkey()
    desk.refuse("not_cosigned_by_given_witness", "export", folder, "--key", held.key, "--witness", witness)


def test_a_history_that_was_rewritten_and_signed_again(held: Held, desk: Desk) -> None:
    leaves = [held.leaves[0].replace(b'"newsletter"', b'"information"'), *held.leaves[1:]]
    folder, older = desk.export(leaves, held.sign(leaves)), desk.put("older", held.older)
    desk.run("export", folder, "--key", held.key)
    desk.refuse("checkpoint_differs", "export", folder, "--key", held.key, "--checkpoint", older)
    desk.refuse("checkpoint_differs", "consistency", older, folder, "--key", held.key)
    newest = desk.put("newest", held.checkpoint)
    desk.refuse("two_roots_for_one_size", "export", folder, "--key", held.key, "--checkpoint", newest)
    desk.refuse("two_roots_for_one_size", "consistency", newest, folder / "checkpoint", "--key", held.key)
    receipt, keys = desk.put("receipt", held.receipts[0]), ("--receipt-key", held.receipt_signer.vkey())
    desk.refuse("receipt_differs_from_export", "receipt", receipt, *keys, "--key", held.key, "--export", folder)


def test_entries_outside_the_vocabulary_are_refused_even_if_signed(held: Held, desk: Desk) -> None:
    leaves = [*held.leaves, b'{"id":"%s","kind":"consent.given","note":"Kari","v":1}' % (b"0" * 32)]
    desk.refuse("leaf_outside_vocabulary", "export", desk.export(leaves, held.sign(leaves)), "--key", held.key)


def test_a_key_of_another_name_does_not_vouch_for_this_ledger(held: Held, desk: Desk) -> None:
    """A receipt key is a key of the same operator, and published beside the ledger's."""
    folder = desk.export(held.leaves, held.sign(held.leaves, held.receipt_signer))
    key = held.receipt_signer.vkey()
    desk.refuse("origin_is_not_the_name_of_the_key", "export", folder, "--key", key)


def test_a_checkpoint_of_another_ledger_is_no_older_one(held: Held, desk: Desk) -> None:
    folder, key = desk.export(held.entries, held.checkpoint), held.receipt_signer
    older = desk.put("older", sign_note(format_checkpoint(Checkpoint(key.name, 0, tlog.EMPTY_ROOT)), [key]).encode())
    keys = "--key", held.key, "--key", key.vkey()
    desk.refuse("checkpoint_of_another_ledger", "export", folder, *keys, "--checkpoint", older)


def test_a_signed_text_that_is_no_checkpoint(held: Held, desk: Desk) -> None:
    root = b64encode(tlog.EMPTY_ROOT).decode()
    for text in (
        "",
        "hello\n",
        f"{ORIGIN}\n0\n{root[:-1]}\n",
        f"{ORIGIN}\n{2**63}\n{root}\n",
        f"{ORIGIN}\n01\n{root}\n",
    ):
        folder = desk.export(b"", sign_note(text + "more\n", [held.signer]).encode())
        desk.refuse("checkpoint_malformed", "export", folder, "--key", held.key)


def test_an_empty_ledger_has_one_root(held: Held, desk: Desk) -> None:
    empty = desk.export(b"", held.sign([]), "empty")
    assert desk.run("export", empty, "--key", held.key).startswith("verified     0 entries")
    wrong = sign_note(format_checkpoint(Checkpoint(ORIGIN, 0, bytes(32))), [held.signer]).encode()
    desk.refuse("checkpoint_differs", "export", desk.export(b"", wrong), "--key", held.key)
    folder, older = desk.export(held.entries, held.checkpoint), desk.put("older", wrong)
    desk.refuse("checkpoint_differs", "export", folder, "--key", held.key, "--checkpoint", older)


def test_only_the_witness_that_is_named_counts(held: Held, desk: Desk) -> None:
    text = unverified_text(held.checkpoint)
    ours, theirs = WITNESS.sign(text, NOW_MS), STRANGER.sign(text, NOW_MS)
    forged = ours[:-30] + theirs[-30:]
    note = held.sign(held.leaves).decode()
    witness = "--key", held.key, "--witness", WITNESS.verifier().vkey()
    desk.run("export", desk.export(held.leaves, (note + theirs + ours).encode()), *witness)
    earlier = WITNESS.sign(text, NOW_MS - 60_000)
    for both in (ours + earlier, earlier + ours):
        folder = desk.export(held.leaves, (note + both).encode())
        assert desk.run("export", folder, *witness).count(" at 2096-10-02T07:06:40Z") == 1
    for lines, reason in ((theirs, "not_cosigned_by_given_witness"), (forged, "signature_invalid")):
        desk.refuse(reason, "export", desk.export(held.leaves, (note + lines).encode()), *witness)
    desk.run("export", desk.export(held.leaves, (note + forged).encode()), "--key", held.key)


# Receipts


def tampered(receipt: bytes, change: Callable[[dict[str, Any]], object], signer: NoteSigner | None = None) -> bytes:
    """Changed, and signed again by whoever has the key of receipts."""
    document = json.loads(receipt)
    change(document)
    if signer is not None:
        document.pop("signature", None)
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        digest = b64encode(tlog.leaf_hash(canonical)).decode()
        document["signature"] = sign_note(f"samtykke-receipt/v2\n{digest}\n", [signer])
    return json.dumps(document).encode()


def entry_of(document: dict[str, Any], number: int = 0) -> dict[str, Any]:
    entry: dict[str, Any] = document["ledger"]["entries"][number]
    return entry


def respell(proof: list[str]) -> None:
    """32 bytes leave two bits of the last digit unused: 0 in the one spelling that counts."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    proof[0] = proof[0][:-2] + digits[digits.index(proof[0][-2]) + 1] + "="


ON_RECEIPT: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "no entries": ("receipt_without_entries", lambda receipt: receipt["ledger"].update(entries=[])),
    "an entry that is not in the ledger": (
        "proof_failed",
        lambda receipt: entry_of(receipt).update(leaf=entry_of(receipt)["leaf"].replace("newsletter", "information")),
    ),
    "an entry of another place": ("proof_failed", lambda receipt: entry_of(receipt).update(position=2)),
    "an entry behind the end": ("proof_failed", lambda receipt: entry_of(receipt).update(position=10**6)),
    "an entry before the beginning": ("proof_failed", lambda receipt: entry_of(receipt).update(position=-1)),
    "a proof that is too short": ("proof_failed", lambda receipt: entry_of(receipt)["proof"].pop()),
    "a proof that is too long": ("proof_failed", lambda receipt: entry_of(receipt)["proof"].append("A" * 43 + "=")),
    "no leaf": ("leaf_not_canonical", lambda receipt: entry_of(receipt).update(leaf="hello")),
    "another payload": ("disclosure_differs", lambda receipt: entry_of(receipt)["disclosure"].update(payload="{}")),
    "another salt": ("disclosure_differs", lambda receipt: entry_of(receipt)["disclosure"].update(salt="AAAA")),
    "a payload of an entry that has none": (
        "disclosure_differs",
        lambda receipt: entry_of(receipt, -1).update(disclosure={"salt": "", "payload": ""}),
    ),
    "a position that is none": ("receipt_malformed", lambda receipt: entry_of(receipt).update(position="0")),
    "a position that is true": ("receipt_malformed", lambda receipt: entry_of(receipt).update(position=True)),
    "hashes that are none": ("receipt_malformed", lambda receipt: entry_of(receipt).update(proof=["AAAA"])),
    "a hash in another spelling": ("receipt_malformed", lambda receipt: respell(entry_of(receipt)["proof"])),
    "a name that sorts differently elsewhere": ("receipt_malformed", lambda receipt: receipt.update({"ø": 1})),
    "no ledger": ("receipt_malformed", lambda receipt: receipt.pop("ledger")),
    "a fraction": ("receipt_malformed", lambda receipt: receipt.update(x=1.5)),
    "a number that readers round": ("receipt_malformed", lambda receipt: receipt.update(x=2**53)),
}


@pytest.mark.parametrize("attack", ON_RECEIPT)
def test_a_changed_receipt_is_refused_even_if_it_is_signed_again(held: Held, desk: Desk, attack: str) -> None:
    reason, change = ON_RECEIPT[attack]
    keys = "--receipt-key", held.receipt_signer.vkey(), "--key", held.key
    desk.run("receipt", desk.put("as it is", tampered(held.receipts[0], lambda _: None)), *keys)
    forged = tampered(held.receipts[0], change, held.receipt_signer)
    desk.refuse(reason, "receipt", desk.put("receipt.json", forged), *keys)
    unsigned = tampered(held.receipts[0], change)
    told = desk.run("receipt", desk.put("receipt.json", unsigned), *keys, code=1)
    assert told in ("refused: receipt_changed", "refused: receipt_malformed")


def test_a_receipt_that_says_something_twice(held: Held, desk: Desk) -> None:
    """Which of two members counts, is for each reader to choose: it could show one and prove the other."""
    twice = held.receipts[0].replace(b"{", b'{"ledger": {},', 1)
    assert json.loads(twice) == json.loads(held.receipts[0])
    keys = "--receipt-key", held.receipt_signer.vkey(), "--key", held.key
    desk.refuse("receipt_malformed", "receipt", desk.put("receipt.json", twice), *keys)


def test_a_receipt_of_a_key_that_is_not_given(held: Held, desk: Desk) -> None:
    receipt = desk.put("receipt.json", held.receipts[0])
    ours, theirs = held.receipt_signer.vkey(), NoteSigner(ORIGIN, Ed25519PrivateKey.generate()).vkey()
    desk.refuse("not_signed_by_given_key", "receipt", receipt, "--receipt-key", theirs, "--key", held.key)
    desk.refuse("not_signed_by_given_key", "receipt", receipt, "--receipt-key", ours, "--key", theirs)


def test_an_export_that_lacks_what_the_receipt_proves(held: Held, desk: Desk) -> None:
    receipt = desk.put("receipt.json", held.receipts[-1])
    keys = "--receipt-key", held.receipt_signer.vkey(), "--key", held.key
    short = desk.export(held.leaves[:3], held.sign(held.leaves[:3]))
    desk.refuse("ledger_cut_short", "receipt", receipt, *keys, "--export", short)


# Wrong use


def vkey(name: str, material: bytes) -> str:
    """With the id that belongs to it, whatever it is."""
    return (
        f"{name}+{tlog.sha256(name.encode() + bytes([10]) + material).hexdigest()[:8]}+{b64encode(material).decode()}"
    )


@pytest.mark.parametrize(
    "key",
    ["", "x", "a+b+c", "\udcff+00000000+AAAA", VECTORS["signed_note"]["vkey"][:-1], WITNESS.verifier().vkey()]
    + [vkey(ORIGIN, b"\x01" + bytes(33)), vkey(ORIGIN, b"\x01" + bytes(31)), vkey("a b", b"\x01" + bytes(32))]
    + [vkey("", b"\x01" + bytes(32)), vkey("a\x1b", b"\x01" + bytes(32)), vkey(ORIGIN, b"")]
    + list(VECTORS["signed_note"]["bad_vkeys"].values())[:2],
)
def test_a_key_that_is_none_is_wrong_use(held: Held, desk: Desk, key: str) -> None:
    folder = desk.export(held.entries, held.checkpoint)
    assert desk.run("export", folder, f"--key={key}", code=2) == "wrong use: key_malformed"


def test_a_log_key_is_no_witness_key(held: Held, desk: Desk) -> None:
    folder = desk.export(held.entries, held.checkpoint)
    assert desk.run("export", folder, "--key", held.key, "--witness", held.key, code=2) == "wrong use: key_malformed"


def test_a_file_that_is_not_there(held: Held, desk: Desk) -> None:
    for words in (["export", "nowhere"], ["consistency", "a", "b"], ["subject", "nowhere", "0" * 32]):
        assert desk.run(*words, "--key", held.key, code=3).startswith("cannot read: '")
    folder = desk.export(held.entries, held.checkpoint)
    (folder / "entries.ndjson").unlink()
    assert desk.run("export", folder, "--key", held.key, code=3).endswith("entries.ndjson'")


def test_the_command_line_explains_itself(desk: Desk) -> None:
    assert "Exit codes" in desk.run("--help")
    for words in ([], ["export"], ["export", "x"], ["nothing"]):
        done = subprocess.run([sys.executable, "-I", VERIFIER, *words], cwd=desk.folder, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr


# Published vectors, and the ledger's own code as the other opinion


def test_the_roots_and_proofs_of_rfc_6962() -> None:
    published = VECTORS["rfc6962_eight_leaves"]
    leaves = [bytes.fromhex(leaf) for leaf in published["leaves"]]
    roots = [bytes.fromhex(root) for root in published["roots_by_size"]]
    tree = verify_ledger.Tree()
    assert tree.root() == roots[0]
    for leaf, root in zip(leaves, roots[1:], strict=True):
        tree.append(leaf)
        assert tree.root() == root
    for one in published["inclusion"]:
        proof = [bytes.fromhex(node) for node in one["proof"]]
        verify_ledger.check_inclusion(leaves[one["index"]], one["index"], one["size"], proof, roots[one["size"]])


def test_every_inclusion_proof_of_small_trees_and_no_other() -> None:
    leaves = [bytes([number]) for number in range(40)]
    stored: dict[int, bytes] = {}
    frontier = tlog.Frontier(0, ())
    for size, leaf in enumerate(leaves, start=1):
        frontier, completed = frontier.append(tlog.leaf_hash(leaf))
        stored.update(completed)
        for index in range(size):
            proof = tlog.prove_inclusion(index, size, lambda indexes: {one: stored[one] for one in indexes})
            verify_ledger.check_inclusion(leaves[index], index, size, proof, frontier.root())
            wrong = [
                (b"x", index, proof),
                (leaves[index], index, [*proof, bytes(32)]),
                *((leaves[index], index, proof[:-1]) for _ in proof[:1]),
                # In a tree of 5, leaf 4 has a proof by which it could as well be leaf 1, but for the height.
                *((leaves[index], other, proof) for other in range(-1, size + 1) if other != index),
            ]
            for other, position, changed in wrong:
                with pytest.raises(verify_ledger.Refused):
                    verify_ledger.check_inclusion(other, position, size, changed, frontier.root())


def test_published_notes_and_keys() -> None:
    vectors = VECTORS["signed_note"]
    peter, enoch = (verify_ledger.parse_key(vectors[name], verify_ledger.LOG_KEY) for name in ("vkey", "vkey2"))
    note = vectors["text"] + "\n" + vectors["signature_line"] + vectors["signature_line2"]
    assert verify_ledger.open_note(note.encode(), [peter, enoch])[:2] == (vectors["text"], [peter, enoch])
    example = vectors["c2sp_example"]
    foo = verify_ledger.parse_key(example["vkey"], verify_ledger.LOG_KEY)
    assert verify_ledger.open_note(example["note"].encode(), [foo])[1] == [foo]
    for start in range(len(vectors["vkey"])):
        for end in range(start, len(vectors["vkey"]) + 1):
            if vectors["vkey"][start:end] != vectors["vkey"]:
                with pytest.raises(verify_ledger.Misused):
                    verify_ledger.parse_key(vectors["vkey"][start:end], verify_ledger.LOG_KEY)


def test_its_vocabulary_is_the_ledgers() -> None:
    assert list(verify_ledger.MEMBERS.items()) == list(MEMBERS.items())
    assert {Kind(kind): state for kind, state in verify_ledger.STATES.items()} == dict(DPV_STATE_OF_KIND)
    for kind in Kind:
        verify_ledger.check_leaf(format_leaf(Entry("00" * 16, kind, NOW_MS, count=1, key_version=10**15 - 1)), 0)


# Nothing that it is given makes it fail otherwise


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        deed = rng.randrange(4)
        if deed == 0:
            changed[at:at] = rng.choice([b"\n", b"\n\n", b"=", b"\xff", b"\0", b"[" * 2_000, b"1" * 5_000, b'"', b"+"])
        elif deed == 1:
            del changed[at : at + rng.randint(1, 40)]
        elif deed == 2:
            changed[at : at + 1] = bytes([rng.randrange(256)])
        else:
            changed[at:at] = changed[rng.randrange(len(changed) + 1) :][: rng.randint(1, 200)]
    return bytes(changed)


@pytest.mark.parametrize("name", ["export/entries.ndjson", "export/checkpoint", "older", "receipt.json"])
def test_mutated_files_are_verified_or_refused_with_one_line(
    held: Held, desk: Desk, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, where an error of any other kind ends the test."""
    rng = random.Random(name)
    leaves = held.leaves[: int(held.older.split(b"\n")[1])]
    folder, older = desk.export(leaves, held.sign(leaves)), desk.put("older", held.older)
    receipt = desk.put("receipt.json", held.receipts[0])
    words = ["export", str(folder), "--key", held.key, "--checkpoint", str(older)]
    if name == "receipt.json":
        words = ["receipt", str(receipt), "--key", held.key, "--receipt-key", held.receipt_signer.vkey()]
    assert verify_ledger.main(words) == 0
    valid = (desk.folder / name).read_bytes()
    codes = []
    for _ in range(1_000):
        (desk.folder / name).write_bytes(mutated(rng, valid))
        codes.append(verify_ledger.main(words))
        told = capsys.readouterr().err
        assert told.count("\n") == (codes[-1] != 0)
        assert codes[-1] == 0 or told.startswith("refused: ")
    assert set(codes) <= {0, 1}  # 0 too: an end that changes nothing, or a line of a key that nobody asked about
    assert codes.count(1) > 900


# The file itself


def test_it_needs_python_3_9_and_one_library() -> None:
    text = VERIFIER.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    names = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    roots = {name.split(".")[0] for name in names} - {"__future__"}
    assert roots - set(sys.stdlib_module_names) == NEEDS
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        assert (function.end_lineno or 0) - function.lineno < 50


def test_the_program_does_not_lean_on_it() -> None:
    """Two opinions, or none: what one of them has wrong, the other must be able to refuse."""
    assert [module.path for module in modules(*ROOMS) if "verify_ledger" in {*imported(module)}] == []


def test_without_the_library_it_says_what_to_install(desk: Desk) -> None:
    done = subprocess.run([sys.executable, "-I", "-S", VERIFIER, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "cryptography_missing: pip install cryptography\n")


def test_every_reason_is_explained_to_whoever_gets_it() -> None:
    text = VERIFIER.read_text(encoding="utf-8")
    reasons = set(re.findall(r'(?:Refused|Misused|Unanswerable)\("(\w+)|"(\w+)" if |return "(\w+)"|else "(\w+)"', text))
    named = {name for groups in reasons for name in groups if name}
    guide = (ROOT / "docs" / "guides" / "verify-the-ledger.md").read_text(encoding="utf-8")
    assert len(named) > 20
    assert [name for name in named if not re.search(rf"[`: ]{name}[` ]", guide)] == []
