"""Keys and key files: who holds which, what is read again, and what a broken file does."""

import json
import os
import stat
from pathlib import Path

import pytest

from ledger.errors import KeyringError
from ledger.keyring import (
    NAMES,
    ROLES,
    Key,
    format_key,
    generate_keys,
    key_path,
    load_keyring,
    parse_key,
    read_key,
    replace_key,
    write_keys,
)

ORIGIN = "samtykke.example.org/test"
OLD, NEW = bytes([1]) * 32, bytes([2]) * 32


@pytest.fixture
def keys_dir(tmp_path: Path) -> Path:
    write_keys(tmp_path / "keys", generate_keys(ORIGIN))
    return tmp_path / "keys"


@pytest.mark.parametrize(
    "key",
    [
        Key(1, {1: OLD}),
        Key(1, {1: OLD, 2: NEW}),
        Key(255, {255: NEW}, ORIGIN, {1: OLD, 254: NEW}),
    ],
)
def test_a_key_is_read_back_as_it_was_written(key: Key) -> None:
    assert parse_key(format_key(key)) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"current": 1}',
        '{"current": 1, "keys": {"1": "AAAA"}}',
        '{"current": 1, "keys": {"0": "%s"}}',
        '{"current": 2, "keys": {"1": "%s"}}',
        '{"current": true, "keys": {"1": "%s"}}',
        '{"current": 256, "keys": {"256": "%s"}}',
        '{"current": 1, "keys": {"1": "%s"}, "retired": {"1": "%s"}}',
        '{"current": 1, "keys": {"1": "%s"}, "origin": 5}',
        '{"current": 1, "keys": ["%s"]}',
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(KeyringError, match="key_malformed"):
        parse_key(text.replace("%s", "A" * 43 + "="))


def test_a_process_holds_the_keys_of_its_role_and_no_other(keys_dir: Path) -> None:
    for role, names in ROLES.items():
        keyring = load_keyring(role, keys_dir)
        for name in NAMES:
            if name in names:
                assert keyring[name].current == 1
            else:
                with pytest.raises(KeyringError, match=f"key_not_held_{name}"):
                    keyring[name]


def test_nothing_of_a_key_is_shown(keys_dir: Path) -> None:
    keyring = load_keyring("record", keys_dir)
    assert (repr(keyring), repr(keyring["kek"])) == ("Keyring(record)", "Key(redacted)")


def test_a_changed_key_file_is_known_at_the_next_use(keys_dir: Path) -> None:
    keyring = load_keyring("record", keys_dir)
    first = keyring["kek"]
    changed = Key(2, {**first.versions, 2: NEW})
    replace_key(keys_dir, "kek", changed)
    assert keyring["kek"] == changed
    replace_key(keys_dir, "kek", first)
    assert keyring["kek"] == first


def test_a_key_file_that_is_away_or_broken_changes_nothing_until_it_is_whole(keys_dir: Path) -> None:
    keyring = load_keyring("record", keys_dir)
    first, path = keyring["kek"], key_path(keys_dir, "kek")
    path.unlink()
    assert keyring["kek"] == first
    path.write_text(format_key(Key(2, {2: NEW}))[:40])
    assert keyring["kek"] == first
    path.write_text(format_key(Key(2, {2: NEW})))
    assert keyring["kek"].value == NEW
    path.write_bytes(b"\xff")
    assert keyring["kek"].value == NEW
    with pytest.raises(KeyringError, match="key_missing_kek"):
        load_keyring("record", keys_dir)


def test_a_key_of_the_setting_does_not_come_from_a_file_and_stays(keys_dir: Path) -> None:
    given = json.dumps({"kek": json.loads(format_key(Key(1, {1: OLD})))})
    keyring = load_keyring("record", keys_dir, given)
    replace_key(keys_dir, "kek", Key(2, {2: NEW}))
    assert keyring["kek"].value == OLD
    assert keyring["suppression"] == read_key(keys_dir, "suppression")


def test_a_missing_key_is_named_and_a_broken_setting_too(keys_dir: Path) -> None:
    key_path(keys_dir, "kek").unlink()
    with pytest.raises(KeyringError, match="key_missing_kek"):
        load_keyring("relay", keys_dir)
    with pytest.raises(KeyringError, match="keyring_malformed"):
        load_keyring("relay", keys_dir, "{")


def test_a_replaced_file_is_another_one_with_the_same_mode(keys_dir: Path) -> None:
    path = key_path(keys_dir, "kek")
    with open(path, encoding="ascii") as opened:
        replace_key(keys_dir, "kek", Key(1, {1: NEW}))
        assert parse_key(opened.read()).value != NEW, "it was overwritten in place"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    path.chmod(0o440)
    replace_key(keys_dir, "kek", Key(1, {1: OLD}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert [file.name for file in keys_dir.iterdir() if file.name.startswith(".")] == []


def test_nobody_replaces_a_file_of_another_user(keys_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_key(keys_dir, "kek")
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(KeyringError, match="key_file_of_another_user"):
        replace_key(keys_dir, "kek", Key(1, {1: NEW}))
    assert read_key(keys_dir, "kek") == before
