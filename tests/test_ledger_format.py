"""docs/ledger-format.md is exact: a second verifier, made from its tables and words alone, agrees with everything.

`Page` reads the document. Below it stands what a stranger would write after reading it; it imports nothing of ours.
"""

import hashlib
import json
import random
import re
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import verify_ledger
from ledger import tlog
from ledger.cosignature import CosignatureSigner
from ledger.note import Checkpoint, NoteSigner, format_checkpoint, sign_note
from ledger.receipt_verification import signed_text
from ledger.sealing import commitment
from schemas.entry import DPV_STATE_OF_KIND, LEAF_GRAMMAR, MEMBERS, Entry, Kind, format_leaf, parse_time
from tests.world import ROOT

PAGE = (ROOT / "docs" / "ledger-format.md").read_text(encoding="utf-8")
ORIGIN = "samtykke.example.org/ledger"


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a line of headings, without their white space."""
    found = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found, f"no table of {heading}"
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in found[1].splitlines()]


def block(name: str) -> str:
    """A file of the example."""
    found = re.search(rf"^`{re.escape(name)}`:\n\n```\w+\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"no {name}"
    return found[1]


def words(cell: str) -> list[str]:
    return re.findall("`([^`]+)`", cell)


# The document against the program


VALUES = {name: words(pattern)[0] for name, pattern in table("Value")}
KINDS = {words(kind)[0]: "".join(words(state)) for kind, state, _ in table("Kind")}


def pattern_of(cell: str) -> str:
    if cell in VALUES:
        return VALUES[cell]
    if "(#kinds)" in cell:
        return "|".join(map(re.escape, KINDS if "one of the" in cell else filter(None, KINDS.values())))
    return "|".join(map(re.escape, words(cell)))


ROWS = [(words(name)[0], kind, pattern_of(value), when) for name, kind, value, when in table("Member")]


def test_its_members_are_those_of_the_program() -> None:
    assert [(name, pattern) for name, _, pattern, _ in ROWS] == list(MEMBERS.items())
    document = json.loads(format_leaf(Entry("00" * 16, Kind.KEY, 0, count=1, key_version=2)))
    for name, kind, _, when in ROWS:
        if name in document:
            assert kind == ("number" if isinstance(document[name], int) else "text")
        assert when.startswith("always") == (name in ("id", "kind", "recorded_at"))
        assert kind in ("text", "number")


def test_its_kinds_and_states_are_those_of_the_program() -> None:
    assert list(KINDS) == [kind.value for kind in Kind]
    assert {kind: state for kind, state in KINDS.items() if state} == DPV_STATE_OF_KIND


def key(byte: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([byte]) * 32)


def test_its_example_is_what_the_program_writes() -> None:
    log, new, receipts = (
        NoteSigner(ORIGIN, key(1)), NoteSigner(ORIGIN, key(2)), NoteSigner(f"{ORIGIN}/receipts", key(3))
    )  # fmt: skip
    witness = CosignatureSigner("witness.example.org/w1", key(4))
    payload, salt = '{"email":"kari@example.no"}', b"\5" * 32
    at_ms, subject = parse_time("2026-11-23T05:17:11.754Z"), bytes.fromhex("da34c09770c958c5297f10c92688a71b")
    asked = Entry(
        "5670ae166466ac67d09fefd51ec139e3", Kind.REQUESTED, at_ms, subject, "newsletter", at_ms, at_ms, "consent",
        "form:newsletter", "form", "unknown", commitment=commitment(salt, payload.encode()),
    )  # fmt: skip
    given_ms = at_ms + 60_000
    given = Entry(
        "d4e57799c67d4f2b89e28978fd802425", Kind.GIVEN, given_ms, subject, "newsletter", given_ms, given_ms, "consent",
        "link", "double_opt_in", ref=asked.id,
    )  # fmt: skip
    public = hashlib.sha256(new.verifier().public_key).hexdigest()
    announced = Entry(
        "0c4b5d1df1b94a1c8f1b3f0a5a3f7e62", Kind.KEY, at_ms + 120_000, source="operator", method="operator",
        reason="added", key="checkpoint", key_version=2, public_key_sha256=public,
    )  # fmt: skip
    leaves = [format_leaf(entry) for entry in (asked, given, announced)]
    assert block("entries.ndjson").encode() == b"".join(leaf + b"\n" for leaf in leaves)
    frontiers = [tlog.Frontier(0, ())]
    for leaf in leaves:
        frontiers.append(frontiers[-1].append(tlog.leaf_hash(leaf))[0])
    checkpoints = [format_checkpoint(Checkpoint(ORIGIN, size, frontiers[size].root())) for size in (2, 3)]
    cosigned = witness.sign(checkpoints[1], parse_time("2026-11-23T05:20:00.000Z"))
    assert block("checkpoint") == sign_note(checkpoints[1], [log, new]) + cosigned
    assert block("older") == sign_note(checkpoints[0], [log])
    keys = {"ledger": log.vkey(), "new": new.vkey(), "receipts": receipts.vkey(), "witness": witness.verifier().vkey()}
    assert dict(line.split() for line in block("keys").splitlines()) == keys
    receipt = json.loads(block("receipt.json"))
    signature = receipt.pop("signature")
    assert signature == sign_note(signed_text(receipt), [receipts])


def test_its_example_verifies_with_the_verifier(tmp_path: Path) -> None:
    for name in ("entries.ndjson", "checkpoint", "older", "receipt.json"):
        (tmp_path / name).write_text(block(name), encoding="utf-8", newline="\n")
    keys = {name.upper(): vkey for name, vkey in (line.split() for line in block("keys").splitlines())}
    commands = re.findall(r"^python (verify_ledger\.py .*)$", PAGE, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        arguments = [keys.get(word, word) for word in command.split()]
        done = subprocess.run([sys.executable, "-I", ROOT / arguments[0], *arguments[1:]], cwd=tmp_path)
        assert done.returncode == 0


# A verifier by somebody who has read the document, and nothing else


class Wrong(Exception):
    pass


def require(condition: object) -> None:
    if not condition:
        raise Wrong


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def is_a_moment(text: str) -> bool:
    """Of a day that there is, in the years 0001 to 9999, with seconds up to 59."""
    year, month, day, hour, minute, second = map(int, re.split("[-T:.Z]", text)[:6])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return year > 0 < month < 13 and 0 < day <= days[month - 1] and hour < 24 and minute < 60 and second < 60


def leaf_of(data: bytes) -> dict[str, Any]:
    """`{`, then its members [...] in the order of the table [...] and `"v":1` is the last one."""
    try:
        document: dict[str, Any] = json.loads(data)
        texts = {name: str(value) for name, value in document.items()}
    except (ValueError, AttributeError, RecursionError):
        raise Wrong from None
    require(texts.pop("v", None) == "1")
    written = []
    for name, kind, pattern, when in ROWS:
        require(name in texts or not when.startswith("always"))
        if name in texts:
            value = texts.pop(name)
            require(re.fullmatch(pattern, value))
            require(pattern != VALUES["time"] or is_a_moment(value))
            written.append(f'"{name}":{value}' if kind == "number" else f'"{name}":"{value}"')
    require(not texts)
    require(("{" + ",".join([*written, '"v":1']) + "}").encode() == data)
    require(document.get("state", "") == KINDS[document["kind"]])
    return document


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right)


def root_of(leaves: list[bytes]) -> bytes:
    """By the definition: root of n > 1 leaves, with k the largest power of two smaller than n."""
    if len(leaves) < 2:
        return sha256(b"\0" + leaves[0]) if leaves else sha256(b"")
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node(root_of(leaves[:k]), root_of(leaves[k:]))


def root_in_one_pass(leaves: list[bytes]) -> bytes:
    stack: list[bytes] = []
    for count, leaf in enumerate(leaves, start=1):
        stack.append(sha256(b"\0" + leaf))
        while count % 2 == 0:
            count //= 2
            stack[-2:] = [node(*stack[-2:])]
    root = stack.pop() if stack else sha256(b"")
    while stack:
        root = node(stack.pop(), root)
    return root


def check_inclusion(leaf: bytes, m: int, n: int, proof: list[bytes], root: bytes) -> None:
    require(0 <= m < n)
    f, s, h = m, n - 1, sha256(b"\0" + leaf)
    for p in proof:
        require(s)
        if f % 2 or f == s:
            h = node(p, h)
            while f and f % 2 == 0:
                f, s = f // 2, s // 2
        else:
            h = node(h, p)
        f, s = f // 2, s // 2
    require(s == 0 and h == root)


def check_consistency(m: int, old: bytes, n: int, new: bytes, proof: list[bytes]) -> None:
    require(0 < m <= n)
    if m == n:
        return require(not proof and old == new)
    hashes = [old, *proof] if m & (m - 1) == 0 else proof
    f, s = m - 1, n - 1
    while f % 2:
        f, s = f // 2, s // 2
    require(hashes)
    a = b = hashes[0]
    for c in hashes[1:]:
        require(s)
        if f % 2 or f == s:
            a, b = node(c, a), node(c, b)
            while f and f % 2 == 0:
                f, s = f // 2, s // 2
        else:
            b = node(b, c)
        f, s = f // 2, s // 2
    require(s == 0 and a == old and b == new)
    return None


def signers_of(note: str, *keys: str) -> tuple[str, list[str]]:
    """The text, and those of the keys that signed it."""
    text, _, lines = note.rpartition("\n\n")
    signed_by = []
    for line in lines.splitlines():
        _, name, signature = line.split(" ")
        raw = b64decode(signature)
        for one in keys:
            key_name, key_id, encoded = one.split("+", 2)
            material = b64decode(encoded)
            require(sha256(key_name.encode() + b"\n" + material)[:4].hex() == key_id)
            if (key_name, key_id) == (name, raw[:4].hex()):
                message = f"{text}\n"
                if material[0] == 4:
                    message = f"cosignature/v1\ntime {int.from_bytes(raw[4:12], 'big')}\n" + message
                Ed25519PublicKey.from_public_bytes(material[1:]).verify(raw[-64:], message.encode())
                signed_by.append(one)
    return f"{text}\n", signed_by


def test_it_verifies_the_example_as_a_stranger_would() -> None:
    keys = dict(line.split() for line in block("keys").splitlines())
    leaves = block("entries.ndjson").encode().splitlines()
    documents = [leaf_of(leaf) for leaf in leaves]
    numbers: dict[str, list[str]] = {}
    for line in block("numbers").splitlines():
        name, value = line.split("  ")
        numbers.setdefault(name, []).append(value)
    for position, leaf in enumerate(leaves):
        assert numbers[f"leaf {position}"] == [sha256(b"\0" + leaf).hex()]
    for size in range(4):
        assert numbers[f"root {size}"] == [root_of(leaves[:size]).hex()]
    inclusion, consistency = (
        [bytes.fromhex(one) for one in numbers[name]] for name in ("inclusion of 1 in 3", "consistency of 2 and 3")
    )
    check_inclusion(leaves[1], 1, 3, inclusion, root_of(leaves))
    check_consistency(2, root_of(leaves[:2]), 3, root_of(leaves), consistency)
    for name, size in (("checkpoint", 3), ("older", 2)):
        text, signed_by = signers_of(block(name), keys["ledger"], keys["new"], keys["witness"])
        assert text.splitlines() == [ORIGIN, str(size), b64encode(root_of(leaves[:size])).decode()]
        assert len(signed_by) == (3 if name == "checkpoint" else 1)
    public = b64decode(keys["new"].split("+", 2)[2])[1:]
    assert documents[2]["public_key_sha256"] == sha256(public).hex()


def test_it_verifies_the_receipt_as_a_stranger_would() -> None:
    keys = dict(line.split() for line in block("keys").splitlines())
    receipt = json.loads(block("receipt.json"))
    signed, signed_by = signers_of(receipt.pop("signature"), keys["receipts"])
    canonical = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert signed == f"samtykke-receipt/v2\n{b64encode(sha256(bytes(1) + canonical)).decode()}\n"
    assert signed_by == [keys["receipts"]]
    text, signed_by = signers_of(receipt["ledger"]["checkpoint"], keys["ledger"])
    assert signed_by
    _, size, root = text.splitlines()
    (entry,) = receipt["ledger"]["entries"]
    proof = [b64decode(one) for one in entry["proof"]]
    check_inclusion(entry["leaf"].encode(), entry["position"], int(size), proof, b64decode(root))
    shown = entry["disclosure"]
    committed = sha256(b"samtykke/commitment/v1\0" + b64decode(shown["salt"]) + shown["payload"].encode())
    assert leaf_of(entry["leaf"].encode())["commitment"] == committed.hex()


# The stranger's verifier, ours, and the ledger's own grammar on the same leaves


def leaves_and_nearly_leaves() -> Iterator[bytes]:
    rng = random.Random(1)
    pieces = [
        b"3",
        b"9",
        b",",
        b'"',
        b"1",
        b"0",
        b" ",
        b"\n",
        b"\\u0061",
        b'"v":1',
        b"}",
        b"{",
        b"\xc3\xb8",
        b"Z",
        b"a",
        b"",
    ]
    for kind in Kind:
        for _ in range(20):
            chosen: dict[str, Any] = {
                "subject": rng.randbytes(16), "purpose": "newsletter", "occurred_at_ms": rng.randrange(4 * 10**12),
                "received_at_ms": rng.randrange(4 * 10**12), "basis": "consent", "source": "form:a-b", "method": "form",
                "notice": "n", "notice_sha256": "ab" * 32, "ref": "cd" * 16, "commitment": rng.randbytes(32),
                "processor": "stripe", "action": "erase", "outcome": "removed", "reason": "x", "rule": "unknown_field",
                "field": "email", "count": rng.randrange(1, 10**15), "key": "kek", "key_version": 1,
            }  # fmt: skip
            some = {name: value for name, value in chosen.items() if rng.random() < 0.5}
            leaf = format_leaf(Entry(rng.randbytes(16).hex(), kind, rng.randrange(4 * 10**12), **some))
            yield leaf
            for _ in range(10):
                at = rng.randrange(len(leaf))
                yield leaf[:at] + rng.choice(pieces) + leaf[at + rng.randrange(3) :]


def accepts(verifier: Any, *arguments: object) -> bool:
    try:
        verifier(*arguments)
    except (Wrong, verify_ledger.Refused):
        return False
    return True


def test_three_readers_agree_on_what_a_leaf_is() -> None:
    accepted = refused = 0
    for leaf in leaves_and_nearly_leaves():
        strangers = accepts(leaf_of, leaf)
        assert strangers == accepts(verify_ledger.check_leaf, leaf, 0), leaf
        assert LEAF_GRAMMAR.fullmatch(leaf) if strangers else True, leaf
        accepted, refused = accepted + strangers, refused + (not strangers)
    assert min(accepted, refused) > 400


def test_a_state_that_is_not_the_kinds_is_refused_by_both_verifiers() -> None:
    leaf = format_leaf(Entry("00" * 16, Kind.GIVEN, 0)).replace(b"dpv:ConsentGiven", b"dpv:ConsentRefused")
    assert LEAF_GRAMMAR.fullmatch(leaf)
    assert not accepts(leaf_of, leaf)
    assert not accepts(verify_ledger.check_leaf, leaf, 0)


@pytest.mark.parametrize(
    "moment",
    ["2026-02-29T00:00:00", "2026-13-01T00:00:00", "2026-00-01T00:00:00", "2026-04-31T00:00:00", "0000-01-01T00:00:00"]
    + [
        "2026-01-01T24:00:00",
        "2026-01-01T00:60:00",
        "2026-12-31T23:59:60",
        "2026-01-00T00:00:00",
        "1900-02-29T00:00:00",
    ],
)
def test_a_time_that_there_is_not_is_refused_by_both_verifiers(moment: str) -> None:
    leaf = b'{"id":"%s","kind":"ledger.audited","recorded_at":"%s.000Z","v":1}'
    assert accepts(leaf_of, leaf % (b"0" * 32, b"2024-02-29T23:59:59"))
    assert not accepts(leaf_of, leaf % (b"0" * 32, moment.encode()))
    assert not accepts(verify_ledger.check_leaf, leaf % (b"0" * 32, moment.encode()), 0)


@pytest.fixture(scope="module")
def grown() -> tuple[list[bytes], dict[int, bytes]]:
    leaves, stored, frontier = [bytes([number]) for number in range(33)], dict[int, bytes](), tlog.Frontier(0, ())
    for leaf in leaves:
        frontier, completed = frontier.append(tlog.leaf_hash(leaf))
        stored.update(completed)
    return leaves, stored


def test_the_documents_tree_is_the_ledgers(grown: tuple[list[bytes], dict[int, bytes]]) -> None:
    leaves, stored = grown

    def read(indexes: Any) -> dict[int, bytes]:
        return {index: stored[index] for index in indexes}

    for n in range(len(leaves) + 1):
        root = root_of(leaves[:n])
        assert root == root_in_one_pass(leaves[:n]) == tlog.tree_root(n, read)
        for m in range(n):
            check_inclusion(leaves[m], m, n, tlog.prove_inclusion(m, n, read), root)
        for m in range(1, n + 1):
            proof = tlog.prove_consistency(m, n, read)
            check_consistency(m, root_of(leaves[:m]), n, root, proof)
            assert not accepts(check_consistency, m, root_of(leaves[1 : m + 1]), n, root, proof)
            assert not accepts(check_consistency, m, root_of(leaves[:m]), n, root, [*proof, bytes(32)])
