"""The files as they lie there: no path of somebody's machine, no secret, and every requirement fixed by its hash."""

import re

import pytest

from tests.guards.source import ROOT, files

# Put together here, so that this file does not hold what it looks for.
HOMES = [re.compile(rf"(?<![\w.])/{folder}/[a-z]") for folder in ("home", "root", "Users", "work")]
EXAMPLES = ("/home/kari/samtykke",)  # what a guide shows of an invented person's machine
SECRETS = [
    re.compile(r"sk_live_[A-Za-z0-9]{16}"),
    re.compile(r"rk_live_[A-Za-z0-9]{16}"),
    re.compile("-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{200}"),
    re.compile(r"AKIA[0-9A-Z]{16}"),
]
LOCKS = ("requirements.txt", "requirements-dev.txt")
PEERS = "tests/bench/peers.txt"  # what the benchmark alone installs


def texts() -> list[tuple[str, str]]:
    found = []
    for path in files():
        try:
            found.append((path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    for name, text in texts():
        for allowed in EXAMPLES:
            text = text.replace(allowed, "")
        for home in HOMES:
            assert not home.search(text), f"{name}: {home.pattern}"


def test_no_file_holds_a_live_secret() -> None:
    assert [name for name, text in texts() for secret in SECRETS if secret.search(text)] == []


@pytest.mark.parametrize("name", [*LOCKS, PEERS])
def test_every_requirement_is_fixed_to_a_version_and_a_hash(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 10
    for line in lines:
        assert re.match(r"[A-Za-z0-9._\[\],-]+==[^ ]+ ", line), line[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line[:80]


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_every_requirement_that_we_name_is_in_its_lock(name: str) -> None:
    named = re.findall(r"^([A-Za-z0-9][A-Za-z0-9-]+)", (ROOT / f"{name}.in").read_text(encoding="utf-8"), re.MULTILINE)
    locked = set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", (ROOT / f"{name}.txt").read_text(), re.MULTILINE))
    assert {one.lower() for one in named} <= {one.lower() for one in locked}


def test_both_locks_agree() -> None:
    """What the tests run is what production runs."""
    pinned = [
        dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in LOCKS
    ]
    assert {name: version for name, version in pinned[1].items() if name in pinned[0]} == pinned[0]
