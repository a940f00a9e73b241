"""`flask ledger rotate-keys` and `flask keys public`: what an operator is told, exit codes, and every refusal."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from app import create_console
from console.operator import Exit
from ledger.checkpoints import Signer
from ledger.keyring import ROLES, key_path, load_keyring, read_key
from ledger.note import NoteVerifier
from ledger.rotation import FILES
from schemas.message import Decision
from tests.ledger.desk import NOW_MS, Desk, sign_up
from tests.world import World


def run(world: World, *arguments: str) -> Result:
    return world.command("ledger", "rotate-keys", *arguments)


def document(world: World, *arguments: str, code: Exit = Exit.DONE) -> Any:
    result = run(world, *arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def refused(world: World, *arguments: str) -> str:
    result = run(world, *arguments)
    assert result.exit_code == Exit.REFUSED, result.output
    return result.stderr.strip()


def settle(world: World, name: str) -> None:
    """As if the key files had been changed an hour ago."""
    for file in FILES[name]:
        path, ago_s = key_path(world.settings.keys_dir, file), time.time() - 3600
        os.utime(path, (ago_s, ago_s))


def test_the_table_shows_where_each_key_stands(world: World) -> None:
    world.give("kari@example.no")
    rows = {row["key"]: row for row in document(world)}
    assert list(rows) == list(FILES)
    assert all(
        (row["current"], row["versions"], row["retired"], row["next"]) == (1, [1], [], None) for row in rows.values()
    )
    assert rows["kek"]["used_by"] == {"1": {"data_keys": 1}}
    assert rows["index_pepper"]["used_by"] == {"1": {"persons": 1, "deliveries": 2}}
    lines = run(world).stdout.splitlines()
    assert lines[0].split() == ["key", "current", "versions", "retired", "used_by", "next"]
    assert [line.split() for line in lines if line.startswith("kek")] == [
        ["kek", "1", "1", "-", "1:", "1", "data_keys", "-"]
    ]
    assert document(world, "kek", "--status") == [rows["kek"]]


def test_a_folder_that_lacks_a_key_shows_the_others(world: World) -> None:
    key_path(world.settings.keys_dir, "token_mac").unlink()
    rows = {row["key"]: row for row in document(world)}
    assert rows["token_mac"] == {"key": "token_mac", "next": "key_missing_token_mac"}
    assert rows["receipt"]["current"] == 1
    for arguments in (("token_mac", "--status"), ("token_mac",), ("token_mac", "--finish")):
        result = run(world, *arguments)
        assert (result.exit_code, result.stderr.strip()) == (Exit.UNAVAILABLE, "key_missing_token_mac")


def test_every_key_goes_the_whole_way(any_world: World) -> None:
    any_world.give("kari@example.no")
    for name, files in FILES.items():
        begun = document(any_world, name)
        assert (begun["version"], begun["files"]) == (2, [f"{file}.json" for file in files])
        assert begun["read_by"] == [role for role, held in ROLES.items() if held & set(files)]
        assert document(any_world, name, "--status")[0]["next"] == "--finish"
        finished = document(any_world, name, "--finish")
        assert (finished["current"], finished["versions"]) == (2, [1, 2])
        settle(any_world, name)
    assert any_world.check("kari@example.no")["reason"] == "given"
    unused = {row["key"]: row["next"] for row in document(any_world)}
    assert unused == dict.fromkeys(FILES, "--destroy 1") | {"token_mac": None, "index_pepper": None}
    for name in FILES.keys() - {"token_mac", "index_pepper"}:
        assert document(any_world, name, "--destroy", "1")["versions"] == [2]
    assert any_world.check("kari@example.no")["reason"] == "given"
    any_world.give("ola@example.no")
    assert any_world.check("ola@example.no")["reason"] == "given"
    assert any_world.command("ledger", "verify").exit_code == Exit.DONE


def test_the_rework_shows_how_far_it_is(world: World) -> None:
    world.give("kari@example.no")
    run(world, "kek")
    assert "Working" in run(world, "kek", "--finish").stdout


def test_what_cannot_be_done_again_is_said(world: World) -> None:
    desk = Desk(world)
    desk.say(sign_up("no@example.no", decisions=(Decision("newsletter", "refused"),)), NOW_MS)
    document(world, "index_pepper")
    result = run(world, "index_pepper", "--finish", "--json")
    assert (result.exit_code, result.stderr.strip()) == (Exit.PARTIAL, "not_all_done")
    assert json.loads(result.stdout)["used_by"] == {"1": {"persons": 1}}


def test_every_refusal_has_its_word(world: World) -> None:
    world.give("kari@example.no")
    assert run(world, "kek", "--destroy", "3").stderr.strip() == "key_version_unknown"
    assert refused(world, "kek", "--destroy", "1") == "key_version_in_use"
    for name in FILES:
        document(world, name)
    assert refused(world, "kek") == "rotation_unfinished"
    for name in ("kek", "token_mac", "index_pepper"):
        document(world, name, "--finish")
    assert refused(world, "kek", "--destroy", "1") == "key_changed_just_now"
    assert refused(world, "token_mac", "--destroy", "1") == "mailed_links_work_for_ever"
    settle(world, "index_pepper")
    still = run(world, "index_pepper", "--destroy", "1")
    assert (still.exit_code, still.stderr.strip()) == (Exit.REFUSED, "key_version_still_used")
    assert still.stdout.split() == ["key", "index_pepper", "version", "1", "used_by", "deliveries=2"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--finish",),
        ("--destroy", "1"),
        ("kek", "--finish", "--destroy", "1"),
        ("kek", "--finish", "--status"),
        ("kek", "--status", "--destroy", "1"),
        ("kek", "--destroy", "one"),
        ("inbox_private",),
    ],
)
def test_what_makes_no_sense_is_a_usage_error_and_changes_nothing(world: World, arguments: tuple[str, ...]) -> None:
    assert run(world, *arguments).exit_code == Exit.USAGE
    assert sorted(read_key(world.settings.keys_dir, "kek").versions) == [1]


@pytest.mark.parametrize("arguments", [(), ("kek",), ("kek", "--finish"), ("kek", "--destroy", "1")])
def test_keys_that_are_not_on_a_disk_are_not_changed(world: World, arguments: tuple[str, ...]) -> None:
    console = create_console(replace(world.settings, keyring='{"kek": {}}')).test_cli_runner()
    result = console.invoke(args=["ledger", "rotate-keys", *arguments])
    assert (result.exit_code, result.stderr.strip()) == (Exit.REFUSED, "keys_not_on_disk")


def test_files_that_cannot_be_changed_are_named_as_the_reason(world: World) -> None:
    (world.settings.keys_dir / "rotation.lock").mkdir()
    result = run(world, "kek")
    assert (result.exit_code, result.stderr.strip()) == (Exit.UNAVAILABLE, "key_files_not_writable")


def test_the_public_keys_are_shown_current_live_and_retired(world: World) -> None:
    def shown() -> list[tuple[str, int, str]]:
        rows = json.loads(world.command("keys", "public", "--json").stdout)
        for row in rows:
            NoteVerifier.from_vkey(row["vkey"])
        return [(row["key"], row["version"], row["state"]) for row in rows if row["key"] == "checkpoint"]

    assert shown() == [("checkpoint", 1, "current")]
    document(world, "checkpoint")
    assert shown() == [("checkpoint", 1, "current"), ("checkpoint", 2, "live")]
    document(world, "checkpoint", "--finish")
    assert shown() == [("checkpoint", 2, "current"), ("checkpoint", 1, "live")]
    settle(world, "checkpoint")
    document(world, "checkpoint", "--destroy", "1")
    assert shown() == [("checkpoint", 2, "current"), ("checkpoint", 1, "retired")]
    table = world.command("keys", "public").stdout.splitlines()
    assert [line.split()[:3] for line in table[1:]] == [
        ["checkpoint", "2", "current"],
        ["checkpoint", "1", "retired"],
        ["receipt", "1", "current"],
    ]


def receipt_of(world: World, email: str, tmp_path: Path) -> str:
    """The file that a newly confirmed person is mailed."""
    world.give(email)
    world.signer = Signer(load_keyring("clock", world.settings.keys_dir)["checkpoint"], world.settings.keys_dir)
    world.sign()
    world.carry()
    attached = [part for mail in world.mails() if mail["To"] == email for part in mail.iter_attachments()]
    path = tmp_path / f"{email}.json"
    path.write_bytes(attached[-1].get_payload(decode=True))
    return str(path)


def test_receipts_of_before_within_and_after_a_rotation_verify(world: World, tmp_path: Path) -> None:
    old = [row["vkey"] for row in json.loads(world.command("keys", "public", "--json").stdout)]
    receipts = [receipt_of(world, "before@example.no", tmp_path)]
    for name in ("checkpoint", "receipt"):
        document(world, name)
    receipts.append(receipt_of(world, "within@example.no", tmp_path))
    for name in ("checkpoint", "receipt"):
        document(world, name, "--finish")
        settle(world, name)
        document(world, name, "--destroy", "1")
    receipts.append(receipt_of(world, "after@example.no", tmp_path))
    by_all = [world.command("receipts", "verify", file).exit_code for file in receipts]
    assert by_all == [Exit.DONE] * 3
    keys = ("--checkpoint-key", old[0], "--receipt-key", old[1])
    by_old = [world.command("receipts", "verify", file, *keys).exit_code for file in receipts]
    assert by_old == [Exit.DONE, Exit.DONE, Exit.NO]
