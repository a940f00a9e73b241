"""The access export: everything about one person, from every processor too, and nothing about anybody else."""

import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from ledger.restriction import restrict
from ledger.tables import processor_state, rights_request
from schemas.entry import Kind
from schemas.message import Message, MessageType
from tests.ledger.desk import KARI, MINUTE_MS, NOW_MS, Desk, sign_up, unconfirmed, withdrawal
from tests.world import World, settings_for
from workers.context import Context
from workers.export import FORMAT, export
from workers.relays import EXPORTERS
from workers.relays.action import RelayAction, RelayError

OTHER = "kari+shop@example.no"  # another mailbox for certain, the same person perhaps
PROFILE = {"first_name": "Kari", "last_name": "Nordmann", "company": "Fjord AS"}


class Connected:
    def to(self, processor: str) -> object | None:
        return self if processor != "stripe" else None


@pytest.fixture
def desk(tmp_path: Path, database_url: str | None) -> Iterator[Desk]:
    world = World(settings_for(tmp_path, database_url))
    unconfirmed(world)
    made = Desk(world)
    made.say(sign_up(KARI, profile=PROFILE), NOW_MS)
    made.say(sign_up(OTHER, profile={"first_name": "Karianne"}), NOW_MS + MINUTE_MS)
    made.say(withdrawal(OTHER, "newsletter"), NOW_MS + 2 * MINUTE_MS)
    yield made
    world.close()


@pytest.fixture
def context(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Context:
    """WordPress and Google are connected and hold something; Stripe is not."""

    def hold(action: RelayAction, _connection: object) -> Mapping[str, Any]:
        return {"asked": list(action.emails)}

    for processor in ("wordpress", "google"):
        monkeypatch.setitem(EXPORTERS, processor, hold)
    return replace(desk.world.context("operator"), connections=Connected())  # type: ignore[arg-type]


def parts(document: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {one["processor"]: (one["holds"], one["missing"]) for one in document["processors"]}


def test_everything_about_a_person_and_nothing_about_anybody_else(desk: Desk, context: Context) -> None:
    found = export(context, desk.handle(KARI))
    document = found.document
    assert (document["format"], document["addresses"], document["profile"]) == (FORMAT, [KARI], PROFILE)
    assert [(one["purpose"], one["state"]) for one in document["consents"]] == [("newsletter", "withdrawn")]
    assert {leaf["kind"] for leaf in document["entries"]} >= {"consent.given", "consent.withdrawn", "payload.revealed"}
    assert document["relays"][0]["processor"] in desk.world.policy.processors
    assert parts(document) == {
        "wordpress": ({"asked": [KARI]}, None),
        "stripe": (None, "processor_not_connected"),
        "google": ({"asked": [KARI]}, None),
    }
    assert found.missing == {"stripe": "processor_not_connected"}
    text = json.dumps(document)
    assert OTHER not in text
    assert "Karianne" not in text
    assert desk.handle(OTHER).hex() not in text
    assert KARI not in repr(found)


def test_the_ledger_says_that_it_was_opened_before_anything_is(desk: Desk, context: Context) -> None:
    handle = desk.handle()
    with desk.database.write() as connection:
        restrict(connection, handle, "claims", NOW_MS, "operator")
    assert export(context, handle).document["restricted"] == "claims"
    last = desk.world.leaves()[-1]
    assert (last["kind"], last["subject"], last["reason"]) == ("payload.revealed", handle.hex(), "export")
    assert desk.problems() == []


@pytest.mark.parametrize(
    ("error", "reason"), [(RelayError("unauthorized", halt=True), "unauthorized"), (KeyError(KARI), "export_failed")]
)
def test_a_processor_that_fails_is_named_with_its_reason(
    desk: Desk,
    context: Context,
    error: Exception,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(_action: RelayAction, _connection: object) -> Mapping[str, Any]:
        raise error

    monkeypatch.setitem(EXPORTERS, "google", refuse)
    assert parts(export(context, desk.handle()).document)["google"] == (None, reason)
    assert KARI not in capsys.readouterr().out


def test_a_part_that_was_not_read_is_missing_too(desk: Desk, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"groups": [], "mails": {"not_read": "mailbox_scope_missing"}}
    monkeypatch.setitem(EXPORTERS, "google", lambda _action, _connection: answer)
    found = export(context, desk.handle())
    assert parts(found.document)["google"] == (answer, None)
    assert found.missing["google mails"] == "mailbox_scope_missing"


def test_a_processor_whose_actions_lack_it_is_not_asked(desk: Desk, context: Context) -> None:
    google = replace(context.policy.processors["google"], actions=("withdraw",))
    policy = replace(context.policy, processors={**context.policy.processors, "google": google})
    assert parts(export(replace(context, policy=policy), desk.handle()).document)["google"] == (None, "not_covered")


def test_a_paused_processor_is_not_asked(desk: Desk, context: Context) -> None:
    with desk.database.write() as connection:
        connection.execute(insert(processor_state).values(processor="google", paused_at_ms=NOW_MS))
    assert parts(export(context, desk.handle()).document)["google"] == (None, "paused")


def test_the_command_writes_a_file_for_one_reader_and_never_over_another(desk: Desk, tmp_path: Path) -> None:
    asked = Message(type=MessageType.REQUEST, source="form:request", email=KARI, right="access")
    desk.say(asked, NOW_MS + 3 * MINUTE_MS)
    with desk.database.read() as connection:
        request_id = connection.execute(select(rights_request.c.id)).scalar_one().hex()
    path = tmp_path / "kari.json"
    result = desk.world.command("subjects", "export", "--request", request_id, "--to", str(path))
    assert result.exit_code == 3  # no processor is connected
    assert KARI not in result.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["addresses"] == [KARI]
    assert [one["right"] for one in document["requests"]] == ["access"]
    revealed = [leaf for leaf in desk.world.leaves() if leaf["kind"] == Kind.REVEALED]
    assert [leaf["ref"] for leaf in revealed] == [request_id]
    again = desk.world.command("subjects", "export", "--email", KARI, "--to", str(path))
    assert again.exit_code == 2
    assert len([leaf for leaf in desk.world.leaves() if leaf["kind"] == Kind.REVEALED]) == 1


def test_nobody_is_no_export(desk: Desk, tmp_path: Path) -> None:
    for arguments in (("--email", "ola@example.no"), ("--request", "00" * 16)):
        result = desk.world.command("subjects", "export", *arguments, "--to", str(tmp_path / "nobody.json"))
        assert result.exit_code == 1
    assert not (tmp_path / "nobody.json").exists()
