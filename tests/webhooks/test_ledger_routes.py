"""The public ledger, by a stranger who has an address and a public key, and by an auditor who has a key besides."""

import contextlib
import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.test import TestResponse

from ledger import tlog
from ledger.checkpoints import store_cosignatures
from ledger.cosignature import CosignatureSigner, check_cosignatures
from ledger.log import node_reader, read_entries, size
from ledger.note import Checkpoint, NoteSigner, NoteVerifier, format_checkpoint, open_note, parse_checkpoint, sign_note
from ledger.tables import inbox
from ledger.tiles import Tile, TileReader, format_bundle_path, format_tile_path, parse_bundle, tiles_of_tree
from schemas.presented_receipt import ENTRIES_MAX
from tests.ledger.desk import NOW_MS, append_purchases
from tests.ledger.tampering import cut, open_file
from tests.world import ORIGIN, World, settings_for
from webhooks.answers import HEADERS
from webhooks.requests import BODY_SIZE_MAX_BYTES

AUDITOR, OTHER_AUDITOR = "a" * 43 + "=", "b" * 43 + "="
BEARER = {"Authorization": f"Bearer {AUDITOR}"}
SEED = bytes(range(32))
# Two tiles and a bit; in between, a checkpoint whose tiles are partial.
OLD_SIZE, NEW_SIZE, UNSIGNED = 259, 515, 3


def made_world(folder: Path, database_url: str | None = None) -> World:
    world = World(settings_for(folder, database_url, auditor_keys=(AUDITOR, OTHER_AUDITOR)))
    append_purchases(world.database, OLD_SIZE)
    world.sign()
    return world


def grow(world: World) -> None:
    append_purchases(world.database, NEW_SIZE - OLD_SIZE)
    world.sign()
    append_purchases(world.database, UNSIGNED)


@pytest.fixture
def growing(tmp_path: Path, database_url: str | None) -> Iterator[World]:
    """A ledger with one checkpoint."""
    world = made_world(tmp_path, database_url)
    yield world
    world.close()


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A ledger with two checkpoints and entries beyond them, for tests that only ask."""
    world = made_world(tmp_path_factory.mktemp("grown"))
    grow(world)
    yield world
    world.close()


class Stranger:
    """Knows the address and the public key; believes nothing that is not proven."""

    def __init__(self, world: World) -> None:
        self.client: FlaskClient = world.client
        self.verifier = NoteVerifier.from_vkey(world.signer.vkey)
        self.fetched: list[Tile] = []

    def open(self, note: str) -> Checkpoint:
        return parse_checkpoint(open_note(note, [self.verifier]).text)

    def checkpoint(self) -> Checkpoint:
        return self.open(self.client.get("/ledger/checkpoint").get_data(as_text=True))

    def fetch(self, tile: Tile) -> bytes:
        answer = self.client.get(f"/ledger/{format_tile_path(tile)}")
        assert answer.status_code == 200
        self.fetched.append(tile)
        return answer.data

    def reader(self, checkpoint: Checkpoint) -> TileReader:
        return TileReader(checkpoint.size, checkpoint.root, self.fetch)

    def bundle(self, tile: Tile) -> list[bytes]:
        answer = self.client.get(f"/ledger/{format_bundle_path(tile)}", headers=BEARER)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, no-store"
        return parse_bundle(answer.data, tile.width)


def stored_leaves(world: World) -> list[bytes]:
    with world.database.read() as connection:
        return [entry.leaf for entry in read_entries(connection, 0, size(connection))]


def note_of(world: World) -> str:
    return world.client.get("/ledger/checkpoint").get_data(as_text=True)


def receipt(leaves: list[bytes], note: str, *positions: int) -> dict[str, Any]:
    """As a person has it; its own proofs are not read."""
    entries = [{"leaf": leaves[position].decode(), "position": position, "proof": ["old"]} for position in positions]
    return {"@context": "https://example.org/", "ledger": {"entries": entries, "checkpoint": note, "new": 1}}


def present(world: World, document: object, **options: Any) -> TestResponse:
    options = {"data": json.dumps(document), "content_type": "application/json"} | options
    return world.client.post("/ledger/proofs", **options)


def assert_refused(answer: TestResponse, status: int, reason: str) -> None:
    assert answer.status_code == status
    document = answer.get_json()
    assert (document["error"]["status"], document["error"]["reason"]) == (status, reason)
    assert document.keys() == {"error"}
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert not {"Location", "Set-Cookie"} & {*answer.headers.keys()}


# A stranger


def test_a_stranger_proves_every_entry_and_that_the_ledger_only_grew(growing: World) -> None:
    stranger = Stranger(growing)
    old = stranger.checkpoint()
    grow(growing)
    new = stranger.checkpoint()
    assert (old.origin, old.size, new.size) == (ORIGIN, OLD_SIZE, NEW_SIZE)
    reader = stranger.reader(new)
    for position, leaf in enumerate(stored_leaves(growing)[:NEW_SIZE]):
        proof = tlog.prove_inclusion(position, new.size, reader)
        tlog.check_inclusion(tlog.leaf_hash(leaf), position, new.size, proof, new.root)
    tlog.check_consistency(old.size, old.root, new.size, new.root, tlog.prove_consistency(old.size, new.size, reader))
    assert sorted(stranger.fetched, key=format_tile_path) == sorted(tiles_of_tree(NEW_SIZE), key=format_tile_path)
    # The tiles of the older checkpoint are still there: a reader of yesterday is not left alone.
    assert tlog.tree_root(old.size, stranger.reader(old)) == old.root


def test_an_auditor_reads_every_entry_and_comes_to_the_signed_root(growing: World) -> None:
    grow(growing)
    stranger = Stranger(growing)
    checkpoint = stranger.checkpoint()
    bundles = [tile for tile in tiles_of_tree(checkpoint.size) if tile.level == 0]
    leaves = [leaf for tile in bundles for leaf in stranger.bundle(tile)]
    frontier = tlog.Frontier(0, ())
    for leaf in leaves:
        frontier, _ = frontier.append(tlog.leaf_hash(leaf))
    assert (frontier.size, frontier.root()) == (checkpoint.size, checkpoint.root)
    assert leaves == stored_leaves(growing)[:NEW_SIZE]


def test_each_of_several_auditors_has_a_key(grown: World) -> None:
    for key in (AUDITOR, OTHER_AUDITOR):
        for scheme in ("Bearer", "bearer"):
            headers = {"Authorization": f"{scheme} {key}"}
            assert grown.client.get("/ledger/tile/entries/000", headers=headers).status_code == 200


def test_the_checkpoint_bears_what_its_witnesses_signed(growing: World) -> None:
    witnesses = [CosignatureSigner(f"witness.example.org/{n}", Ed25519PrivateKey.generate()) for n in (1, 2)]
    text = open_note(note_of(growing), [Stranger(growing).verifier]).text
    with growing.database.write() as connection:
        store_cosignatures(connection, OLD_SIZE, [witness.sign(text, NOW_MS) for witness in witnesses])
    cosigned = [note_of(growing), present(growing, receipt(stored_leaves(growing), note_of(growing), 0)).json]
    for note in (cosigned[0], cosigned[1]["checkpoint"]):  # type: ignore[index]
        assert Stranger(growing).open(note).size == OLD_SIZE
        lines = note.partition("\n\n")[2]
        for witness in witnesses:
            assert check_cosignatures(text, lines, witness.verifier()).timestamp_s == NOW_MS // 1000
    grow(growing)
    assert "witness.example.org" not in note_of(growing)  # they have not seen this one


# What every answer carries


@pytest.mark.parametrize(
    ("path", "media_type", "cache"),
    [
        ("/ledger/checkpoint", "text/plain; charset=utf-8", "public, max-age=5"),
        ("/ledger/tile/0/000", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("/ledger/tile/0/002.p/3", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("/ledger/tile/1/000.p/1", "application/octet-stream", "public, max-age=31536000, immutable"),
        ("/ledger/tile/entries/001", "application/octet-stream", "private, no-store"),
        ("/ledger/tile/entries/002.p/1", "application/octet-stream", "private, no-store"),
    ],
)
def test_an_answer_says_what_it_is_and_how_long_it_holds(grown: World, path: str, media_type: str, cache: str) -> None:
    for method in ("GET", "HEAD"):
        answer = grown.client.open(path, method=method, headers=BEARER)
        assert answer.status_code == 200
        assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (media_type, cache)
        rest = {name: value for name, value in HEADERS.items() if name != "Cache-Control"}
        assert {name: answer.headers[name] for name in rest} == rest
        assert "Set-Cookie" not in answer.headers


@contextlib.contextmanager
def selects(world: World) -> Iterator[list[str]]:
    """Every SELECT of the door while this lasts."""
    engine = world.client.application.extensions["door"].database.engine
    found: list[str] = []

    def remember(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            found.append(statement)

    event.listen(engine, "before_cursor_execute", remember)
    yield found
    event.remove(engine, "before_cursor_execute", remember)


@pytest.mark.parametrize(
    ("path", "table"), [("0/000", "ledger_node"), ("1/000.p/2", "ledger_node"), ("entries/000", "ledger_entry")]
)
def test_a_tile_is_one_read_of_the_tree(grown: World, path: str, table: str) -> None:
    with selects(grown) as found:
        assert grown.client.get(f"/ledger/tile/{path}", headers=BEARER).status_code == 200
    signed, read = found
    assert "FROM ledger_checkpoint" in signed.replace("\n", "")
    assert f"FROM {table}" in read.replace("\n", "")


def test_the_proofs_of_many_entries_take_as_many_reads_as_the_proof_of_one(grown: World) -> None:
    counts = set()
    for positions in ([7], range(0, 5 * ENTRIES_MAX, 5)):
        with selects(grown) as found:
            document = receipt(stored_leaves(grown), forged_true(grown, 510), *positions)
            assert present(grown, document).status_code == 200
        counts.add(len(found))
    assert len(counts) == 1


# What there is not


def test_nothing_is_given_out_before_the_first_signature(tmp_path: Path) -> None:
    world = World(settings_for(tmp_path, auditor_keys=(AUDITOR,)))
    append_purchases(world.database, 2)
    assert_refused(world.client.get("/ledger/checkpoint"), 404, "nothing_signed_yet")
    for path in ("0/000.p/1", "entries/000.p/1"):
        assert_refused(world.client.get(f"/ledger/tile/{path}", headers=BEARER), 404, "tile_not_found")
    world.close()


@pytest.mark.parametrize(
    "number", ["002.p/4", "002.p/6", "002.p/255", "002", "003.p/1", "x001/000", "x009/x223/x372/x036/x854/x775/807"]
)
def test_what_no_signature_covers_is_not_given_out(grown: World, number: str) -> None:
    """The ledger has 518 entries, 515 of them signed."""
    assert len(stored_leaves(grown)) == NEW_SIZE + UNSIGNED
    for level in ("0", "entries"):
        answer = grown.client.get(f"/ledger/tile/{level}/{number}", headers=BEARER)
        assert_refused(answer, 404, "tile_not_found")


@pytest.mark.parametrize("path", ["1/000.p/3", "1/000", "1/001.p/1", "2/000.p/1", "63/000.p/1", "63/000"])
def test_no_hash_is_given_out_of_a_subtree_that_is_not_full(grown: World, path: str) -> None:
    assert_refused(grown.client.get(f"/ledger/tile/{path}"), 404, "tile_not_found")


@pytest.mark.parametrize(
    "path",
    [
        "0",
        "0/",
        "0/0",
        "0/0000",
        "0/000/",
        "0//000",
        "00/000",
        "64/000",
        "-1/000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p",
    ]
    + [
        "0/x000/000",
        "0/../0/000",
        "0/000.p/1/",
        "data/000",
        "0/%30%30%30%2e",
        "0/000%00",
        "0/٠٠٠",
        "entries",
    ]
    + ["entries/", "entries/0", "entries/0/000", "entries/000/", "entries/000.p/0", "entries/x000/000", "entries//000"],
)
def test_another_spelling_of_a_tile_is_not_found_and_leads_nowhere(grown: World, path: str) -> None:
    assert_refused(grown.client.get(f"/ledger/tile/{path}", headers=BEARER), 404, "tile_not_found")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "secret_missing"),
        ({"Authorization": ""}, "secret_missing"),
        ({"Authorization": "Bearer"}, "secret_missing"),
        ({"Authorization": "Bearer "}, "secret_missing"),
        ({"Authorization": AUDITOR}, "secret_missing"),
        ({"Authorization": f"Basic {AUDITOR}"}, "secret_missing"),
        ({"X-Gdpr-Token": AUDITOR}, "secret_missing"),
        ({"Authorization": f"Bearer {AUDITOR[:-1]}"}, "secret_mismatch"),
        ({"Authorization": f"Bearer  {AUDITOR}"}, "secret_mismatch"),
        ({"Authorization": f"Bearer {AUDITOR},{OTHER_AUDITOR}"}, "secret_mismatch"),
        ({"Authorization": "Bearer æøå"}, "secret_mismatch"),
        ({"Authorization": "Bearer " + "a" * 5000}, "signature_malformed"),
    ],
)
def test_leaves_are_for_auditors_only(grown: World, headers: dict[str, str], reason: str) -> None:
    """Whether there is such a bundle is not told either."""
    for number in ("000", "002.p/3", "002.p/200", "not-a-number"):
        answer = grown.client.get(f"/ledger/tile/entries/{number}?key={AUDITOR}", headers=headers)
        assert_refused(answer, 401, reason)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_without_a_key_in_the_settings_there_is_no_auditor(world: World) -> None:
    append_purchases(world.database, 1)
    world.sign()
    assert_refused(world.client.get("/ledger/tile/entries/000.p/1", headers=BEARER), 401, "no_secret_configured")
    assert_refused(world.client.get("/ledger/tile/entries/000.p/1"), 401, "secret_missing")


@pytest.mark.parametrize("path", ["/ledger/checkpoint", "/ledger/tile/0/000", "/ledger/tile/entries/000"])
def test_the_ledger_is_only_read(grown: World, path: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert_refused(grown.client.open(path, method=method, headers=BEARER), 405, "method_not_allowed")
    assert_refused(grown.client.get("/ledger/proofs"), 405, "method_not_allowed")


def test_a_ledger_that_lost_a_leaf_or_a_hash_gives_out_nothing_in_its_place(tmp_path: Path) -> None:
    world = made_world(tmp_path)
    with open_file(world.database) as connection:
        connection.execute("DELETE FROM ledger_entry WHERE position = 7")
        connection.execute("DELETE FROM ledger_node WHERE position = ?", (tlog.stored_index(0, 8),))
    for path in ("entries/000", "0/000"):
        assert_refused(world.client.get(f"/ledger/tile/{path}", headers=BEARER), 500, "internal_error")
    assert world.client.get("/ledger/tile/0/001.p/3").status_code == 200
    world.close()


# A presented receipt


def test_a_receipt_gets_fresh_proofs(growing: World) -> None:
    leaves, old_note, stranger = stored_leaves(growing), note_of(growing), Stranger(growing)
    grow(growing)
    positions = [0, 1, 255, 256, OLD_SIZE - 1, 1]
    answer = present(growing, receipt(leaves, old_note, *positions))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    document = answer.get_json()
    assert document.keys() == {"checkpoint", "consistency", "entries"}
    old, new = stranger.open(old_note), stranger.open(document["checkpoint"])
    assert (old.size, new.size) == (OLD_SIZE, NEW_SIZE)
    tlog.check_consistency(old.size, old.root, new.size, new.root, decoded(document["consistency"]))
    assert [entry["position"] for entry in document["entries"]] == positions
    for entry in document["entries"]:
        leaf_hash = tlog.leaf_hash(leaves[entry["position"]])
        tlog.check_inclusion(leaf_hash, entry["position"], new.size, decoded(entry["proof"]), new.root)


def test_the_receipt_that_a_person_was_mailed_gets_fresh_proofs(any_world: World) -> None:
    any_world.give("kari@example.no")
    any_world.sign()
    any_world.carry()
    (part,) = any_world.mails()[-1].iter_attachments()
    mailed = part.get_content()
    append_purchases(any_world.database, 10)
    any_world.sign()
    answer = present(any_world, None, data=mailed)
    assert answer.status_code == 200
    new = Stranger(any_world).open(answer.get_json()["checkpoint"])
    given, proven = json.loads(mailed)["ledger"]["entries"], answer.get_json()["entries"]
    assert given
    for mine, fresh in zip(given, proven, strict=True):
        assert mine["position"] == fresh["position"]
        leaf_hash = tlog.leaf_hash(mine["leaf"].encode())
        tlog.check_inclusion(leaf_hash, fresh["position"], new.size, decoded(fresh["proof"]), new.root)


def decoded(proof: list[str]) -> list[bytes]:
    return [b64decode(hash_, validate=True) for hash_ in proof]


def test_a_receipt_under_the_newest_checkpoint_gets_an_empty_proof_of_growth(grown: World) -> None:
    document = present(grown, receipt(stored_leaves(grown), note_of(grown), NEW_SIZE - 1)).get_json()
    assert document["consistency"] == []
    assert document["checkpoint"] == note_of(grown)


def test_only_leaves_that_stand_where_they_are_said_to_are_proven(grown: World) -> None:
    """One answer for all: it does not tell which of several was right, nor what else is there."""
    leaves, note = stored_leaves(grown), note_of(grown)
    right = receipt(leaves, note, 3)["ledger"]["entries"][0]
    assert present(grown, receipt(leaves, note, 3)).status_code == 200
    wrong: list[dict[str, Any]] = [
        right | {"position": 4},
        right | {"leaf": leaves[4].decode()},
        right | {"leaf": right["leaf"].replace("purchase", "purchasf")},
        right | {"leaf": right["leaf"] + " "},
        right | {"leaf": ""},
        right | {"leaf": leaves[NEW_SIZE].decode()},  # not signed yet
    ]
    answers = set()
    for entries in [*([one] for one in wrong), *([right, one] for one in wrong), [wrong[0], wrong[1], right]]:
        answer = present(grown, {"ledger": {"entries": entries, "checkpoint": note}})
        assert_refused(answer, 404, "leaf_not_in_ledger")
        answers.add(answer.data)
    assert len(answers) == 1


def forged(size: int, root: bytes, origin: str = ORIGIN) -> str:
    signer = NoteSigner(origin, Ed25519PrivateKey.from_private_bytes(SEED))
    return sign_note(format_checkpoint(Checkpoint(origin, size, root)), [signer])


def forged_true(world: World, tree_size: int) -> str:
    """Of a tree that there was, by somebody else's key: the door has none, and asks for the root and not who signed."""
    with world.database.read() as connection:
        return forged(tree_size, tlog.tree_root(tree_size, node_reader(connection)))


def test_a_receipt_of_another_history_is_told_so(grown: World) -> None:
    leaves = stored_leaves(grown)
    for tree_size in (1, 10, OLD_SIZE, NEW_SIZE, NEW_SIZE + 1):
        expected = 200 if tree_size <= NEW_SIZE else 409
        assert present(grown, receipt(leaves, forged_true(grown, tree_size), 0)).status_code == expected
        assert_refused(present(grown, receipt(leaves, forged(tree_size, bytes(32)), 0)), 409, "another_history")
    # Even with a leaf that is not in the ledger: the alarm comes first.
    document = receipt([b"{}"], forged(10, bytes(32)), 0)
    assert_refused(present(grown, document), 409, "another_history")
    assert_refused(present(grown, receipt(leaves, forged(2**63 - 1, bytes(32)), 0)), 409, "another_history")


def test_a_receipt_of_another_ledger_raises_no_alarm(grown: World) -> None:
    for tree_size in (10, 2 * NEW_SIZE):
        note = forged(tree_size, bytes(32), "samtykke.example.test/another")
        assert_refused(present(grown, receipt(stored_leaves(grown), note, 0)), 404, "leaf_not_in_ledger")


@pytest.mark.parametrize("left", [0, 100])
def test_a_ledger_that_was_set_back_betrays_itself(tmp_path: Path, left: int) -> None:
    world = made_world(tmp_path)
    kept = receipt(stored_leaves(world), note_of(world), OLD_SIZE - 1)
    assert present(world, kept).status_code == 200
    with open_file(world.database) as connection:
        cut(connection, left)
    assert_refused(present(world, kept), 409, "another_history")
    world.close()


def test_a_ledger_whose_hashes_were_changed_proves_nothing(tmp_path: Path) -> None:
    world = made_world(tmp_path)
    kept = receipt(stored_leaves(world), note_of(world), 0)
    with open_file(world.database) as connection:
        connection.execute("UPDATE ledger_node SET hash = ? WHERE position = ?", (bytes(32), tlog.stored_index(0, 1)))
    assert_refused(present(world, kept), 500, "internal_error")
    world.close()


NOTE = forged(1, bytes(32))
ENTRY = {"leaf": "{}", "position": 0, "proof": []}
SHAPES: dict[str, object] = {
    "null": None,
    "a list": [],
    "a text": "receipt",
    "a number": 1,
    "nothing": {},
    "no ledger": {"entries": [ENTRY], "checkpoint": NOTE},
    "ledger null": {"ledger": None},
    "ledger a list": {"ledger": [ENTRY]},
    "no entries": {"ledger": {"checkpoint": NOTE}},
    "entries null": {"ledger": {"checkpoint": NOTE, "entries": None}},
    "entries empty": {"ledger": {"checkpoint": NOTE, "entries": []}},
    "entries an object": {"ledger": {"checkpoint": NOTE, "entries": ENTRY}},
    "too many entries": {"ledger": {"checkpoint": NOTE, "entries": [ENTRY] * (ENTRIES_MAX + 1)}},
    "an entry null": {"ledger": {"checkpoint": NOTE, "entries": [None]}},
    "no checkpoint": {"ledger": {"entries": [ENTRY]}},
    "checkpoint null": {"ledger": {"entries": [ENTRY], "checkpoint": None}},
    "checkpoint a number": {"ledger": {"entries": [ENTRY], "checkpoint": 1}},
    "checkpoint empty": {"ledger": {"entries": [ENTRY], "checkpoint": ""}},
    "checkpoint not signed": {"ledger": {"entries": [ENTRY], "checkpoint": NOTE.partition("\n\n")[0] + "\n"}},
    "checkpoint no checkpoint": {"ledger": {"entries": [ENTRY], "checkpoint": "a text\n" + NOTE[NOTE.index("\n\n") :]}},
    "checkpoint of nothing": {"ledger": {"entries": [ENTRY], "checkpoint": forged(0, tlog.EMPTY_ROOT)}},
    "an entry beyond its checkpoint": {"ledger": {"entries": [ENTRY | {"position": 1}], "checkpoint": NOTE}},
} | {
    f"{name} {value!r}": {"ledger": {"checkpoint": NOTE, "entries": [ENTRY | {name: value}]}}
    for name, value in [
        *(("position", value) for value in (None, True, "0", 0.0, 0.5, -1, [], {}, 2**63 - 1)),
        *(("leaf", value) for value in (None, 1, True, [], {})),
    ]
}


@pytest.mark.parametrize("name", SHAPES)
def test_it_refuses_what_is_no_receipt(grown: World, name: str) -> None:
    assert_refused(present(grown, SHAPES[name]), 422, "receipt_malformed")


@pytest.mark.parametrize(
    ("status", "reason", "options"),
    [
        (400, "json_malformed", {"data": b"{"}),
        (400, "json_malformed", {"data": b""}),
        (400, "json_duplicate_key", {"data": b'{"ledger":1,"ledger":2}'}),
        (400, "json_number_too_large", {"data": b'{"position":9223372036854775808}'}),
        (400, "json_too_deep", {"data": b"[" * 100}),
        (400, "text_surrogate", {"data": b'{"leaf":"\\ud800"}'}),
        (400, "text_not_utf8", {"data": b"\xff"}),
        (413, "body_too_large", {"data": b" " * (BODY_SIZE_MAX_BYTES + 1)}),
        (415, "content_type_not_accepted", {"content_type": "text/plain"}),
        (415, "content_type_not_accepted", {"content_type": "application/x-www-form-urlencoded"}),
        (415, "content_encoding_not_accepted", {"headers": {"Content-Encoding": "gzip"}}),
    ],
)
def test_it_refuses_what_it_cannot_read(grown: World, status: int, reason: str, options: dict[str, Any]) -> None:
    assert_refused(present(grown, {}, **options), status, reason)


def test_nothing_that_is_asked_is_kept_or_repeated(grown: World) -> None:
    canary = "kanari7f3a"
    document = receipt(stored_leaves(grown), note_of(grown), 3) | {"name": canary}
    document["ledger"]["entries"][0]["proof"] = [canary]
    answers = [
        present(grown, document),
        present(grown, receipt([canary.encode()], note_of(grown), 0)),
        grown.client.get(f"/ledger/tile/0/{canary}"),
        grown.client.get("/ledger/tile/entries/000", headers={"Authorization": f"Bearer {canary}"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 404, 401]
    for answer in answers:
        assert canary not in answer.get_data(as_text=True) + str(answer.headers)
    with grown.database.read() as connection:
        assert connection.execute(inbox.select()).all() == []
