"""A receipt proves what was recorded, to anybody, for ever, in words that DPV defines, and says nothing else."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyld import jsonld
from sqlalchemy import delete, select

from ledger import vault
from ledger.canonical import CanonicalError
from ledger.checkpoints import note_signers, note_verifiers
from ledger.erasure import erase
from ledger.errors import NotFoundError
from ledger.keyring import Key, Keyring, generate_keys, load_keyring
from ledger.log import lock_head
from ledger.note import NoteVerifier, format_vkey, sign_note
from ledger.receipt_document import Cover, format_document
from ledger.receipt_facts import ReceiptError, check_agreement
from ledger.receipt_verification import RECEIPT_SIZE_MAX_BYTES, Proven, signed_text, verify_receipt
from ledger.receipts import build_receipt
from ledger.tables import ledger_entry, subject
from ledger.tables import vault as boxes
from schemas.entry import Kind
from schemas.policy import Policy
from schemas.strict_json import parse_json
from tests.guards.source import SNAKE_CASE
from tests.ledger.desk import Desk
from tests.world import ORIGIN, ROOT, World, settings_for
from workers.context import now_ms

KARI, OLA = "kari@example.no", "ola@example.org"
TERMS = json.loads((ROOT / "tests" / "fixtures" / "dpv" / "terms.json").read_text(encoding="utf-8"))
# A name in decomposed letters, as one system in common use types them: canonical JSON has no place for it.
DECOMPOSED = "Pa\N{COMBINING RING ABOVE}l"


@dataclass(frozen=True)
class Held:
    """The receipts of one person, mailed at a grant, a withdrawal and an erasure, and the installation's keys."""

    given: bytes
    withdrawn: bytes
    erased: bytes
    others_handle: str
    receipt_key: Key
    receipt_keys: tuple[NoteVerifier, ...]
    ledger_keys: tuple[NoteVerifier, ...]

    def verify(self, receipt: bytes) -> Proven:
        return verify_receipt(receipt, self.receipt_keys, self.ledger_keys)

    def resign(self, document: dict[str, Any]) -> bytes:
        """As an issuer would who lies: everything is signed, and only the ledger's own part cannot be made up."""
        document = {name: value for name, value in document.items() if name != "signature"}
        signature = sign_note(signed_text(document), note_signers(self.receipt_key))
        return json.dumps({**document, "signature": signature}).encode()


def attachment(mail: EmailMessage) -> bytes:
    (part,) = mail.iter_attachments()
    content = part.get_content()
    return content if isinstance(content, bytes) else str(content).encode()


def keys_of(world: World) -> Keyring:
    return load_keyring("operator", world.settings.keys_dir)


def newest_receipt(world: World) -> bytes:
    world.sign()
    world.carry()
    return attachment(world.mails()[-1])


def erase_in(world: World, handle: bytes) -> None:
    desk = Desk(world)
    with world.database.write() as connection:
        lock_head(connection)
        erase(connection, desk.recorder(now_ms()), handle, "requested")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    world = World(settings_for(tmp_path_factory.mktemp("world")))
    world.give(OLA)
    world.sign()
    world.carry()
    body = {"email": KARI, "first_name": DECOMPOSED, "newsletter": "yes", "offers": "yes"}
    assert world.post_signed("newsletter", body).status_code == 200
    world.record()
    world.carry()
    world.confirm()
    world.record()
    given_ = newest_receipt(world)
    world.client.post(world.link("w"), data={"List-Unsubscribe": "One-Click"})
    world.record()
    withdrawn = newest_receipt(world)
    handles = list(dict.fromkeys(leaf["subject"] for leaf in world.leaves() if "subject" in leaf))
    erase_in(world, bytes.fromhex(handles[1]))
    erased = newest_receipt(world)
    with world.database.read() as connection:
        left = connection.execute(select(subject.c.handle)).scalars().all()
    assert [handle.hex() for handle in left] == handles[:1], "what follows is about somebody who has been erased"
    keyring = keys_of(world)
    yield Held(
        given_,
        withdrawn,
        erased,
        handles[0],
        keyring["receipt"],
        note_verifiers(keyring["receipt"]),
        note_verifiers(keyring["checkpoint"]),
    )
    world.close()


def document_of(receipt: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(receipt)
    return document


def kinds_of(proven: Proven) -> list[tuple[str, str | None]]:
    return [(entry.leaf["kind"], entry.leaf.get("purpose")) for entry in proven.entries]


@pytest.fixture(params=["given", "withdrawn", "erased"])
def receipt(request: pytest.FixtureRequest, held: Held) -> bytes:
    chosen: bytes = getattr(held, request.param)
    return chosen


# What it proves


def test_a_grant_is_proven_with_the_sign_up_that_it_confirms(held: Held) -> None:
    proven = held.verify(held.given)
    assert kinds_of(proven) == [
        ("consent.requested", "newsletter"),
        ("consent.requested", "offers"),
        ("consent.given", "newsletter"),
        ("consent.given", "offers"),
    ]
    asked, answered = proven.entries[:2], proven.entries[2:]
    assert [entry.leaf["ref"] for entry in answered] == [entry.leaf["id"] for entry in asked]
    assert proven.checkpoint.origin == ORIGIN


def test_the_holder_can_open_what_was_sealed_when_our_box_is_gone(held: Held) -> None:
    opened = [json.loads(entry.payload) for entry in held.verify(held.given).entries if entry.payload]
    assert opened == [{"email": KARI, "first_name": DECOMPOSED}] * 2


def test_a_withdrawal_and_an_erasure_are_proven_and_disclose_nothing(held: Held) -> None:
    withdrawn, erased = held.verify(held.withdrawn), held.verify(held.erased)
    assert {kind for kind, _ in kinds_of(withdrawn)} == {"consent.withdrawn"}
    assert len(withdrawn.entries) == 4
    assert kinds_of(erased) == [("subject.erased", None)]
    assert [entry.payload for entry in (*withdrawn.entries, *erased.entries)] == [None] * 5


def test_it_is_about_one_person(held: Held, receipt: bytes) -> None:
    text = receipt.decode()
    assert OLA not in text
    assert held.others_handle not in text
    assert len({entry.leaf["subject"] for entry in held.verify(receipt).entries}) == 1


def test_only_the_disclosure_says_who(held: Held) -> None:
    document = document_of(held.given)
    for entry in document["ledger"]["entries"]:
        entry.pop("disclosure", None)
    for text in (json.dumps(document), held.withdrawn.decode(), held.erased.decode()):
        assert KARI not in text


def test_it_verifies_in_a_fresh_process_that_has_no_database(held: Held, receipt: bytes, tmp_path: Path) -> None:
    """On the files alone: neither SQLAlchemy nor a key of ours is even loaded."""
    file = tmp_path / "receipt.json"
    file.write_bytes(receipt)
    vkeys = [note_signers(held.receipt_key)[0].vkey(), vkey_of(held.ledger_keys[0])]
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ledger.note import NoteVerifier\n"
        "from ledger.receipt_verification import verify_receipt\n"
        "receipt_key, ledger_key = map(NoteVerifier.from_vkey, sys.argv[2:])\n"
        "proven = verify_receipt(Path(sys.argv[1]).read_bytes(), [receipt_key], [ledger_key])\n"
        "assert 'sqlalchemy' not in sys.modules\n"
        "sys.stdout.write(str(len(proven.entries)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file), *vkeys], cwd=ROOT, env={}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) == len(held.verify(receipt).entries)


def vkey_of(verifier: NoteVerifier) -> str:
    return format_vkey(verifier.name, verifier.public_key)


# JSON-LD


def offline(url: str, _options: object) -> None:
    raise AssertionError(f"a receipt asked the network for {url}")


def expand(document: dict[str, Any]) -> list[Any]:
    expanded: list[Any] = jsonld.expand(document, {"documentLoader": offline})
    return expanded


def iris_of(expanded: object) -> Iterator[str]:
    """Every name in an expanded document: of properties, types, and what they point to."""
    if isinstance(expanded, list):
        for item in expanded:
            yield from iris_of(item)
    elif isinstance(expanded, dict) and expanded.get("@type") != "@json":
        for name, value in expanded.items():
            if not name.startswith("@"):
                yield name
                yield from iris_of(value)
            elif name in ("@id", "@type"):
                yield from [value] if isinstance(value, str) else value


def test_it_expands_without_a_network_and_comes_back_whole(receipt: bytes) -> None:
    document = document_of(receipt)
    context = document["@context"]
    assert jsonld.compact(expand(document), context, {"documentLoader": offline}) == document


def test_every_member_has_a_name_in_a_vocabulary(receipt: bytes) -> None:
    """Expansion drops silently what the context does not name; nothing of ours is dropped or relative."""
    document = document_of(receipt)
    assert all(":" in iri for iri in iris_of(expand(document)))
    for misspelt in ("purpose", "hasPurpose"):
        assert (
            jsonld.compact(
                expand(document | {misspelt: "newsletter"}), document["@context"], {"documentLoader": offline}
            )
            == document
        )


def test_every_term_of_dpv_is_one_that_dpv_defines(receipt: bytes) -> None:
    defined = {source["namespace"] + term for source in TERMS["sources"] for term in source["terms"]}
    used = {iri for iri in iris_of(expand(document_of(receipt))) if iri.startswith("https://w3id.org/")}
    assert used - defined == set()
    namespaces = {iri.rpartition("#")[0] + "#" for iri in used}
    assert {source["namespace"] for source in TERMS["sources"] if source["commit"] and source["file"]} >= namespaces


def test_the_terms_that_matter_are_there(held: Held) -> None:
    dpv = "https://w3id.org/dpv#"
    used = set(iris_of(expand(document_of(held.given))))
    assert used >= {
        f"{dpv}{term}" for term in ("ConsentReceipt", "ConsentGiven", "ConsentRequested", "ExpressedConsent")
    }
    assert used >= {"https://w3id.org/dpv/legal/eu/gdpr#A6-1-a", "https://w3id.org/dpv/legal/no#DPA-NO"}
    assert used >= {"https://w3id.org/dpv/pd#EmailAddress", f"https://{ORIGIN}#ledger", f"https://{ORIGIN}#signature"}
    assert f"{dpv}ConsentWithdrawn" in set(iris_of(expand(document_of(held.withdrawn))))
    assert f"{dpv}RightExerciseRecord" in set(iris_of(expand(document_of(held.erased))))


def test_it_names_the_way_out_who_is_responsible_and_where_to_complain(held: Held) -> None:
    document = document_of(held.given)
    (newsletter, offers) = document["dpv:hasRecordOfActivity"]
    assert newsletter["dpv:hasConsentControl"]["dpv:isExercisedAt"].startswith("http://samtykke.example.org/w/")
    assert newsletter["dpv:hasProcess"][0]["dpv:hasPurpose"]["dct:title"] == {"nb": "Nyhetsbrev", "en": "Newsletter"}
    assert offers["dpv:hasNotice"]["dct:identifier"] == "unknown"  # the operator has confirmed no hash
    names = {entity["dpv:hasName"]: entity["dpv:hasContact"] for entity in document["dpv:hasEntity"][:2]}
    assert names == {"Vizpro AS": "https://vizpro.no/om-oss/", "Datatilsynet": "https://www.datatilsynet.no/"}


# What is refused


def flipped(text: str) -> str:
    return ("A" if text[0] != "A" else "B") + text[1:]


def leaf_with(entry: dict[str, Any], **members: str) -> None:
    entry["leaf"] = json.dumps(json.loads(entry["leaf"]) | members, sort_keys=True, separators=(",", ":"))


Change = Callable[[dict[str, Any]], object]


def in_record(change: Change) -> Change:
    return lambda document: change(document["dpv:hasRecordOfActivity"][0])


def in_event(change: Change) -> Change:
    return in_record(lambda record: change(record["dpv:hasConsentStatus"][0]))


def in_entry(change: Change) -> Change:
    return lambda document: change(document["ledger"]["entries"][0])


def put(name: str, value: object) -> Change:
    return lambda node: node.__setitem__(name, value)


CHANGES: dict[str, tuple[str, Change]] = {
    "another context": (
        "context_differs",
        lambda document: document["@context"].update({"dpv": "https://example.org/"}),
    ),
    "no checkpoint": ("receipt_malformed", lambda document: document["ledger"].pop("checkpoint")),
    "no entries": ("entries_out_of_order", lambda document: document["ledger"]["entries"].clear()),
    "an entry twice": (
        "entries_out_of_order",
        lambda document: document["ledger"]["entries"].append(document["ledger"]["entries"][0]),
    ),
    "an entry less": ("entries_differ", lambda document: document["ledger"]["entries"].pop()),
    "a record less": ("entries_differ", lambda document: document["dpv:hasRecordOfActivity"].pop()),
    "an event less": ("entries_differ", in_record(lambda record: record["dpv:hasConsentStatus"].pop())),
    "another entry's event": ("entries_differ", in_event(put("@id", "log:entry-00"))),
    "a leaf that is no leaf": ("leaf_not_in_vocabulary", in_entry(put("leaf", "{}"))),
    "a leaf with free text": (
        "leaf_not_in_vocabulary",
        in_entry(lambda entry: leaf_with(entry, purpose="Kari Nordmann")),
    ),
    "another purpose in the leaf": (
        "proof_failed",
        in_entry(lambda entry: leaf_with(entry, purpose="profiling")),
    ),
    "another position": ("proof_failed", in_entry(put("position", 0))),
    "a position that is text": ("receipt_malformed", in_entry(put("position", "3"))),
    "a position that is true": ("receipt_malformed", in_entry(put("position", True))),
    "a proof that is no base64": ("receipt_malformed", in_entry(put("proof", ["?"]))),
    "a shorter proof": ("proof_failed", in_entry(lambda entry: entry["proof"].pop())),
    "another salt": (
        "commitment_differs",
        in_entry(lambda entry: entry["disclosure"].update(salt=flipped(entry["disclosure"]["salt"]))),
    ),
    "another payload": (
        "commitment_differs",
        in_entry(lambda entry: entry.update(disclosure={"salt": entry["disclosure"]["salt"], "payload": "{}"})),
    ),
    "no payload": ("receipt_malformed", in_entry(lambda entry: entry["disclosure"].pop("payload_base64"))),
    "another state": ("state_differs", in_event(put("@type", "dpv:ConsentGiven"))),
    "another time": ("time_differs", in_event(put("dpv:isIndicatedAtTime", "2026-11-23T05:17:11.754Z"))),
    "recorded at another time": ("time_differs", in_event(put("dct:created", "2026-11-23T05:17:11.754Z"))),
    "another method": ("method_differs", in_event(put("dpv:hasIndicationMethod", "operator"))),
    "another purpose": (
        "purpose_differs",
        in_record(lambda record: record["dpv:hasProcess"][0]["dpv:hasPurpose"].update({"dct:identifier": "offers"})),
    ),
    "a second purpose": (
        "purpose_differs",
        in_record(lambda record: record["dpv:hasProcess"].append(record["dpv:hasProcess"][0])),
    ),
    "another notice": ("notice_differs", in_record(put("dpv:hasNotice", {"dct:identifier": "personvern-1"}))),
    "the hash of a notice": (
        "notice_differs",
        in_record(lambda record: record["dpv:hasNotice"].update({"schema:sha256": "0" * 64})),
    ),
    "no notice": ("notice_differs", in_record(lambda record: record.pop("dpv:hasNotice"))),
    "another person": ("subject_differs", in_record(put("dpv:hasDataSubject", "log:subject-00"))),
    "a text with half a character": ("text_surrogate", put("dct:language", "\ud800")),
    "a fraction": ("type_not_allowed", put("dct:language", 0.5)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_an_issuer_signs_must_agree_with_the_ledger(held: Held, name: str) -> None:
    reason, change = CHANGES[name]
    document = document_of(held.given)
    change(document)
    if reason in ("text_surrogate", "type_not_allowed"):  # there is no canonical form to sign
        changed = json.dumps(document).encode()
    else:
        changed = held.resign(document)
    with pytest.raises(ReceiptError) as refused:
        held.verify(changed)
    assert refused.value.reason == reason


def test_a_receipt_that_is_signed_again_unchanged_verifies(held: Held, receipt: bytes) -> None:
    """So what the table above names is the change, and not how it is made."""
    held.verify(held.resign(document_of(receipt)))


def members(document: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value that is no object and no list."""
    if isinstance(document, dict | list):
        for name in document if isinstance(document, dict) else range(len(document)):
            yield from members(document[name], (*path, name))
    else:
        yield path


def test_each_member_is_covered_by_the_signature(held: Held, receipt: bytes) -> None:
    paths = [path for path in members(document_of(receipt)) if path[0] != "signature"]
    assert len(paths) > 100
    for path in paths:
        document = document_of(receipt)
        *parents, last = path
        node: Any = document
        for name in parents:
            node = node[name]
        node[last] = node[last] + 1 if isinstance(node[last], int) else node[last] + "x"
        with pytest.raises(ReceiptError, match="^receipt_changed$"):
            held.verify(json.dumps(document).encode())


@given(place=st.integers(0, 1_000_000), byte=st.integers(0, 255), how=st.sampled_from(["replace", "insert", "delete"]))
def test_one_changed_byte_is_refused_unless_it_is_white_space_between_members(
    held: Held, place: int, byte: int, how: str
) -> None:
    """A receipt that an editor has saved with other line ends is the same document; anything else is none."""
    place %= len(held.given)
    changed = bytearray(held.given)
    changed[place : place + (how != "insert")] = b"" if how == "delete" else bytes([byte])
    try:
        proven = held.verify(bytes(changed))
    except ReceiptError:
        return
    assert document_of(bytes(changed)) == document_of(held.given)
    assert proven == held.verify(held.given)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda parts: (
        st.lists(parts, max_size=2) | st.dictionaries(st.sampled_from(["@id", "@type", "x"]), parts, max_size=2)
    ),
    max_leaves=4,
)


@given(which=st.integers(0, 10_000), depth=st.integers(1, 8), junk=JUNK)
def test_whatever_is_signed_verifies_or_is_refused_with_a_reason(held: Held, which: int, depth: int, junk: Any) -> None:
    """Nothing else leaves: the file comes from a stranger, and so may the key."""
    document = document_of(held.given)
    paths = sorted({path[:depth] for path in members(document) if path[0] != "signature"}, key=str)
    *parents, last = paths[which % len(paths)]
    node: Any = document
    for name in parents:
        node = node[name]
    node[last] = junk
    try:
        changed = held.resign(document)
    except CanonicalError:  # text in no normal form cannot be signed
        return
    try:
        held.verify(changed)
    except ReceiptError as refused:
        assert SNAKE_CASE.fullmatch(refused.reason)


RAW: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "nothing": ("json_malformed", lambda _: b""),
    "a list": ("receipt_malformed", lambda _: b"[]"),
    "no signature": ("receipt_malformed", lambda _: b"{}"),
    "a signature that is a number": ("receipt_malformed", lambda _: b'{"signature": 1}'),
    "a signature that is no note": ("note_malformed", lambda _: b'{"signature": "x"}'),
    "one member twice": ("json_duplicate_key", lambda receipt: receipt.replace(b"{", b'{"ledger": 1,', 1)),
    "nested without end": ("json_too_deep", lambda _: b"[" * 100_000),
    "no UTF-8": ("text_not_utf8", lambda receipt: receipt + b"\xff"),
    "more than a receipt needs": ("receipt_too_large", lambda receipt: receipt + b" " * RECEIPT_SIZE_MAX_BYTES),
    "cut short": ("json_malformed", lambda receipt: receipt[:-1]),
}


@pytest.mark.parametrize("name", RAW)
def test_what_is_no_receipt_is_refused_by_name(held: Held, name: str) -> None:
    reason, change = RAW[name]
    with pytest.raises(ReceiptError, match=f"^{reason}$"):
        held.verify(change(held.given))


def test_a_receipt_of_another_version_is_not_taken_for_one_of_ours(held: Held) -> None:
    document = document_of(held.given)
    del document["signature"]
    text = signed_text(document).replace("/v2", "/v1")
    document["signature"] = sign_note(text, note_signers(held.receipt_key))
    with pytest.raises(ReceiptError, match="^receipt_version_unknown$"):
        held.verify(json.dumps(document).encode())


# Keys


def test_neither_key_can_stand_in_for_the_other_or_be_a_strangers(held: Held) -> None:
    stranger = generate_keys(ORIGIN)
    strangers = [note_verifiers(stranger[name]) for name in ("receipt", "checkpoint")]
    for receipt_keys, ledger_keys in (
        (held.ledger_keys, held.receipt_keys),
        (strangers[0], held.ledger_keys),
        (held.receipt_keys, strangers[1]),
    ):
        with pytest.raises(ReceiptError, match="^not_signed_by_known_key$"):
            verify_receipt(held.given, receipt_keys, ledger_keys)


def test_a_checkpoint_of_another_log_is_refused_whoever_signed_it(held: Held) -> None:
    """https://c2sp.org/tlog-checkpoint: the origin is the name of the key, or a log could be passed off as another."""
    other = generate_keys("other.example.org")["checkpoint"]
    document = document_of(held.given)
    text = document["ledger"]["checkpoint"].partition("\n\n")[0] + "\n"
    document["ledger"]["checkpoint"] = sign_note(text, note_signers(other))
    with pytest.raises(ReceiptError, match="^checkpoint_origin_differs$"):
        verify_receipt(held.resign(document), held.receipt_keys, note_verifiers(other))


def test_in_a_rotation_the_old_key_the_new_one_and_later_the_retired_one_verify(held: Held) -> None:
    old = held.receipt_key
    fresh = generate_keys(ORIGIN)["receipt"].value
    both = replace(old, current=2, versions={1: old.value, 2: fresh})
    receipt = replace(held, receipt_key=both).resign(document_of(held.given))
    only_new = replace(both, versions={2: fresh})
    for key in (old, both, only_new):
        verify_receipt(receipt, note_verifiers(key), held.ledger_keys)
    retired = replace(only_new, retired={1: note_verifiers(old)[0].public_key})
    verify_receipt(held.given, note_verifiers(retired), held.ledger_keys)
    with pytest.raises(ReceiptError, match="^not_signed_by_known_key$"):
        verify_receipt(held.given, note_verifiers(only_new), held.ledger_keys)


# Building one


def build(world: World, kind: Kind, policy: Policy | None = None, opens: bool = True) -> bytes | None:
    """As the mail does, for the newest entry of a kind."""
    keyring = keys_of(world)
    newest = select(ledger_entry).where(ledger_entry.c.kind == kind).order_by(ledger_entry.c.position.desc()).limit(1)
    with world.database.write() as connection:
        cause = connection.execute(newest).one()
        person = vault.load_subject(connection, keyring["kek"], cause.subject) if opens else None
        return build_receipt(
            connection, policy or world.policy, keyring["receipt"], cause.id, cause.subject, now_ms(), person=person
        )


def verified(world: World, receipt: bytes | None) -> Proven:
    assert receipt is not None
    keyring = keys_of(world)
    return verify_receipt(receipt, note_verifiers(keyring["receipt"]), note_verifiers(keyring["checkpoint"]))


def test_there_is_none_until_a_checkpoint_covers_its_entries(any_world: World) -> None:
    any_world.give(KARI)
    assert build(any_world, Kind.GIVEN) is None
    any_world.sign()
    assert len(verified(any_world, build(any_world, Kind.GIVEN)).entries) == 2


def test_a_purpose_that_has_left_the_policy_keeps_its_key(world: World) -> None:
    world.give(KARI, newsletter="yes", offers="yes")
    world.sign()
    purposes = {key: one for key, one in world.policy.purposes.items() if key != "offers"}
    receipt = build(world, Kind.GIVEN, replace(world.policy, purposes=MappingProxyType(purposes), notices={}))
    assert ("consent.given", "offers") in kinds_of(verified(world, receipt))
    document = document_of(receipt or b"")
    (_, offers) = document["dpv:hasRecordOfActivity"]
    assert set(offers["dpv:hasProcess"][0]["dpv:hasPurpose"]) == {"@id", "@type", "dct:identifier"}
    assert jsonld.compact(expand(document), document["@context"], {"documentLoader": offline}) == document


def test_twenty_purposes_at_once_still_make_a_receipt_that_can_be_read(world: World) -> None:
    """strict_json has a limit on keys: a receipt must never come near it."""
    one = world.policy.purposes["newsletter"]
    leaves = [
        {"id": f"{number:032x}", "kind": kind, "subject": "0" * 32, "purpose": f"purpose-{number // 2}"}
        | {"recorded_at": "2026-11-23T05:17:11.754Z", "notice": "unknown", "method": "form"}
        for number in range(40)
        for kind in [(Kind.REQUESTED, Kind.GIVEN)[number % 2]]
    ]
    purposes = {f"purpose-{number}": one for number in range(20)}
    policy = replace(world.policy, purposes=MappingProxyType(purposes))
    document = format_document(policy, Cover("0" * 32, "2026-11-23T05:17:11.754Z", ORIGIN, "nb"), leaves)
    document["ledger"] = {"entries": [dict.fromkeys(("leaf", "position", "proof", "disclosure"), {}) for _ in leaves]}
    assert parse_json(json.dumps(document).encode()) == document
    check_agreement(document, leaves, ORIGIN)


def test_a_policy_with_every_detail_and_another_countrys_authority_is_one_too(world: World) -> None:
    """Typed by hand, in decomposed letters."""
    controller = replace(world.policy.controller, postal_address=f"{DECOMPOSED} 1", email="post@example.no")
    authority = replace(world.policy.authority, dpv="legal-ie:DPA-IE")
    notices = {key: replace(one, sha256="ab" * 32) for key, one in world.policy.notices.items()}
    world.policy = replace(world.policy, controller=controller, authority=authority, notices=MappingProxyType(notices))
    world.give(KARI)
    world.sign()
    document = document_of(build(world, Kind.GIVEN) or b"")
    (record,) = document["dpv:hasRecordOfActivity"]
    assert record["dpv:hasNotice"]["schema:sha256"] == "ab" * 32
    assert record["dpv:hasNotice"]["schema:url"] == "https://vizpro.no/gdpr"
    assert record["dpv:hasAuthority"] == "https://w3id.org/dpv/legal/ie#DPA-IE"
    assert document["dpv:hasEntity"][0]["dpv:hasAddress"] == "P\N{LATIN SMALL LETTER A WITH RING ABOVE}l 1"
    assert jsonld.compact(expand(document), document["@context"], {"documentLoader": offline}) == document


def test_what_was_told_is_disclosed_word_for_word(world: World) -> None:
    world.give(KARI)
    world.sign()
    (asked, given_) = document_of(build(world, Kind.GIVEN) or b"")["ledger"]["entries"]
    assert asked["disclosure"]["payload"] == f'{{"email":"{KARI}"}}'
    assert "disclosure" not in given_


def test_what_is_not_sealed_any_more_is_not_disclosed(world: World) -> None:
    world.give(KARI)
    world.sign()
    with world.database.write() as connection:
        connection.execute(delete(boxes))
    assert [entry.payload for entry in verified(world, build(world, Kind.GIVEN)).entries] == [None, None]


def test_a_receipt_about_one_person_is_not_made_from_anothers_entry(world: World) -> None:
    world.give(KARI)
    world.sign()
    with world.database.read() as connection:
        cause = connection.execute(select(ledger_entry.c.id).where(ledger_entry.c.kind == Kind.GIVEN)).scalar_one()
        with pytest.raises(NotFoundError, match="entry_not_found"):
            build_receipt(connection, world.policy, keys_of(world)["receipt"], cause, bytes(16), now_ms())


def test_a_withdrawal_that_stopped_several_people_is_proven_to_each_alone(world: World) -> None:
    """kari+shop@ is perhaps kari@: a withdrawal for one silences both, and tells neither about the other."""
    for address in (KARI, "kari+shop@example.no"):
        world.give(address)
        world.sign()
        world.carry()
    assert world.post_signed("withdrawal", {"email": KARI}).status_code == 200
    world.record()
    world.sign()
    world.carry()
    receipts = [attachment(mail).decode() for mail in world.mails()[-2:]]
    subjects = [{entry.leaf["subject"] for entry in verified(world, text.encode()).entries} for text in receipts]
    assert [len(one) for one in subjects] == [1, 1]
    assert subjects[0] != subjects[1]
    for text, other in zip(receipts, reversed(subjects), strict=True):
        assert not any(handle in text for handle in other)
        assert "@example.no" not in text
