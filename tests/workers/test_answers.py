"""The access answer, from the confirmed request to what its reader sees: whole, sealed, and nothing about others."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from ledger import answers, retention
from ledger.errors import SealError
from ledger.keyring import ROLES, load_keyring
from ledger.sealing import unseal
from ledger.tables import answer, metadata, relay, rights_request
from tests.webhooks.pages import ADDRESS, confirm_request, mail_answer
from tests.world import World, body_of
from workers.context import now_ms
from workers.relays import EXPORTERS
from workers.relays.action import RelayAction, RelayError

STRANGER = "kari.nordman@example.no"
NEIGHBOUR = "kari.nordmann+shop@example.no"
HOSTILE = '#panic("x") <script>alert(1)</script> $x$ *b*'


class Connected:
    def to(self, processor: str) -> object | None:
        return self


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every processor is connected, and holds what it was asked about."""
    for processor in ("wordpress", "stripe", "google"):

        def hold(action: RelayAction, _connection: object, name: str = processor) -> Mapping[str, Any]:
            return {"found_at": name, "addresses": list(action.emails)}

        monkeypatch.setitem(EXPORTERS, processor, hold)
    original = World.context
    monkeypatch.setattr(World, "context", lambda world, role: replace(original(world, role), connections=Connected()))  # type: ignore[arg-type]


def read(world: World, form: str) -> Any:
    return world.client.post(world.link("a"), data={"show": form})


@pytest.mark.usefixtures("holding")
def test_a_person_gets_everything_in_three_forms_and_nothing_of_anybody_else(world: World) -> None:
    world.post_signed("newsletter", {"email": ADDRESS, "newsletter": "yes", "first_name": HOSTILE})
    for other in (STRANGER, NEIGHBOUR):
        world.post_signed("newsletter", {"email": other, "newsletter": "yes", "first_name": "Somebody-else"})
    world.record()
    mail_answer(world)
    shown = world.client.get(world.link("a")).get_data(as_text=True)
    assert "Svaret ditt" in shown
    assert "nordmann" not in shown  # a scanner that opens the link sees nothing
    document = read(world, "json").get_json()
    assert document["addresses"] == [ADDRESS]
    assert [one["legal_basis"] for one in document["purposes"]] == ["eu-gdpr:A6-1-a"] * 4
    assert [one["holds"]["addresses"] for one in document["processors"]] == [[ADDRESS]] * 3
    page, pdf = read(world, "page"), read(world, "pdf")
    text = page.get_data(as_text=True)
    for word in (ADDRESS, "WP Engine", "Stripe", "Google Workspace", "Datatilsynet", "Hvor lenge", "Dine rettigheter"):
        assert word in text
    assert "<script>" not in text
    for other in (STRANGER, NEIGHBOUR, "Somebody-else"):
        assert other not in text + json.dumps(document)
    assert pdf.data.startswith(b"%PDF-")
    assert b"<pdfuaid:part>1" in pdf.data  # a name that looks like markup is no reason for less
    for one in (page, pdf, read(world, "json")):
        assert one.headers["Cache-Control"] == "no-store"
    assert pdf.headers["Content-Disposition"] == 'attachment; filename="answer.pdf"'


@pytest.mark.usefixtures("holding")
def test_portability_is_what_the_person_gave_and_no_more(world: World) -> None:
    world.give(ADDRESS)
    world.sign()
    world.carry()
    mail_answer(world, "portability")
    document = read(world, "json").get_json()
    assert document["format"] == "samtykke-portability/1"
    assert document["addresses"] == [ADDRESS]
    assert not {"processors", "entries", "relays", "links"} & document.keys()
    assert "Det du har gitt oss" in read(world, "page").get_data(as_text=True)


@pytest.mark.usefixtures("holding")
def test_only_the_link_opens_it_once_the_mail_has_left(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    mail_answer(world)
    path = world.link("a")
    key = base64.urlsafe_b64decode(path.rpartition(".")[2] + "=")
    with world.database.read() as connection:
        row = connection.execute(select(answer)).one()
        assert connection.execute(select(rights_request.c.status)).scalar_one() == "completed"
    assert row.key_box is None
    assert ADDRESS.encode() in unseal(key, row.box, b"answer/box/" + row.id)
    for role in ROLES:
        keyring = load_keyring(role, world.settings.keys_dir)
        for name in ROLES[role]:
            for value in keyring[name].versions.values():
                if len(value) == answers.KEY_SIZE_BYTES:
                    with pytest.raises(SealError):
                        unseal(value, row.box, b"answer/box/" + row.id)
    assert read(world, "json").status_code == 200
    world.client.get(f"{path[:-1]}!")
    raw = dump(world) + "".join(capsys.readouterr()).encode()  # and what was logged
    for secret in (ADDRESS.encode(), key, path.rpartition(".")[2].encode()):
        assert secret not in raw


def dump(world: World) -> bytes:
    """Every value of every table."""
    parts: list[bytes] = []
    with world.database.read() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                parts += [one if isinstance(one, bytes) else str(one).encode() for one in row]
    return b"\n".join(parts)


@pytest.mark.usefixtures("holding")
def test_unknown_expired_and_wrong_keys_are_told_the_same(world: World) -> None:
    mail_answer(world)
    path = world.link("a")
    token, _, key = path.rpartition(".")
    other = ("A" if key[0] != "A" else "B") + key[1:]
    refused = [
        world.client.post(one, data={"show": "json"})
        for one in (f"{token}.{other}", f"{token}.", token, f"{token}.{key}x", f"/a/{'A' * 46}.{key}")
    ]
    with world.database.write() as connection:
        connection.execute(update(answer).values(expires_at_ms=now_ms() - 1))
    refused.append(world.client.get(path))
    assert {one.status_code for one in refused} == {404}
    bodies = {one.get_data() for one in refused}
    assert len(bodies) == 1, bodies
    retention.expire(world.database, world.policy, now_ms())
    with world.database.read() as connection:
        assert connection.execute(select(answer)).all() == []


@pytest.mark.usefixtures("holding")
def test_only_a_button_shows_it(world: World) -> None:
    mail_answer(world)
    for data in ({}, {"show": "other"}, {"confirm": "1"}):
        assert world.client.post(world.link("a"), data=data).status_code == 400


@pytest.mark.usefixtures("holding")
def test_a_processor_that_fails_is_asked_again_for_a_day_and_then_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_action: RelayAction, _connection: object) -> Mapping[str, Any]:
        raise RelayError("http_error", status=503)

    monkeypatch.setitem(EXPORTERS, "stripe", fail)
    mail_answer(world)
    with world.database.write() as connection:
        row = connection.execute(select(relay).where(relay.c.action == "answer")).one()
        assert (row.status, row.reason) == ("pending", "answer_not_whole")
        assert connection.execute(select(answer)).all() == []
        earlier = {"created_at_ms": row.created_at_ms - 25 * 3600 * 1000, "next_attempt_at_ms": 0}
        connection.execute(update(relay).where(relay.c.id == row.id).values(earlier))
    world.carry()
    document = read(world, "json").get_json()
    assert [one["missing"] for one in document["processors"]] == [None, "http_error", None]
    assert "Vi fikk ikke svar derfra" in read(world, "page").get_data(as_text=True)


@pytest.mark.usefixtures("holding")
def test_a_second_attempt_mails_the_same_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    confirm_request(world)
    with monkeypatch.context() as broken:
        broken.setattr("workers.mail.deliver", _refuse)
        world.carry()
    with world.database.write() as connection:
        first = connection.execute(select(answer)).one()
        assert first.key_box is not None
        connection.execute(update(relay).where(relay.c.action == "answer").values(next_attempt_at_ms=0))
    world.carry()
    with world.database.read() as connection:
        (second,) = connection.execute(select(answer)).all()
    assert (second.box, second.key_box) == (first.box, None)
    assert read(world, "json").get_json()["addresses"] == [ADDRESS]


def _refuse(*_arguments: object, **_named: object) -> None:
    raise RelayError("connect")


@pytest.mark.usefixtures("holding")
@pytest.mark.parametrize(("language", "subject"), [("nb", "Svaret fra Vizpro AS"), ("en", "The answer from Vizpro AS")])
def test_the_mail_says_how_long_and_that_the_link_is_the_key(world: World, language: str, subject: str) -> None:
    mail_answer(world, language=language)
    mail = world.mails()[-1]
    assert mail["Subject"] == subject
    assert re.search(r"/a/[\w-]{46}\.[\w-]{43}\n", body_of(mail).replace("\r", ""))
    assert "30" in body_of(mail)
