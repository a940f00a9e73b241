"""What is told of the vendors' sandboxes: each check and assumption is documented, and nothing runs without a key."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sandbox.__main__ import CHECKS, main, verdict
from tests.sandbox.check import AS_ASSUMED, DIFFERS, NOT_CHECKED, Check, DiffersError
from tests.simulators import assumed
from tests.world import ROOT, settings_for
from workers.relays.action import RelayError


def test_every_check_is_documented_and_no_other() -> None:
    page = (ROOT / "docs" / "reference" / "vendor-sandbox.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == [check.name for check in CHECKS]


def test_without_keys_nothing_is_checked_and_it_says_which_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tests.sandbox.__main__.load_settings", lambda _root: settings_for(tmp_path))
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CHECKS)
    assert all(f" {NOT_CHECKED} " in line and " no " in line for line in lines)


def test_a_live_key_of_stripe_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    settings = replace(settings_for(tmp_path), stripe_api_key="rk_live_0123456789", stripe_api_base="https://x.invalid")
    for check in CHECKS:
        if check.name.startswith("stripe"):
            assert verdict(check, settings) == (DIFFERS, "STRIPE_API_KEY is no test key: nothing was asked")


def test_what_was_seen_is_told_and_never_a_vendors_sentence(tmp_path: Path) -> None:
    def run(error: Exception) -> tuple[str, str]:
        def fail(_settings: object) -> str:
            raise error

        return verdict(Check("one", (), fail), settings_for(tmp_path))

    assert verdict(Check("one", (), lambda _: "seen"), settings_for(tmp_path)) == (AS_ASSUMED, "seen")
    assert run(DiffersError("other")) == (DIFFERS, "other")
    assert run(RelayError("forbidden", halt=True, status=403)) == (DIFFERS, "forbidden")


def test_the_page_of_the_simulators_lists_all_that_they_assume() -> None:
    page = assumed.PAGE.read_text(encoding="utf-8")
    assert page == assumed.renewed(page), "python -m tests.simulators.assumed"


def test_an_assumption_is_found_wherever_it_stands(tmp_path: Path) -> None:
    source = '''"""A vendor. Its clock is assumed to be right."""

# One thing. The limit
# is assumed.


class Deeds:
    def answer(self):
        """It answers (https://example.org). The rest
        is assumed: nobody says.

        But where it says assumed, it is not.
        """
        return 1  # assumed
'''
    (tmp_path / "stripe_thing.py").write_text(source)
    found = [(one.vendor, one.place, one.sentence) for one in assumed.assumptions(tmp_path)]
    assert found == [
        ("Stripe", "", "Its clock is assumed to be right."),
        ("Stripe", "", "The limit is assumed."),
        ("Stripe", "answer", "The rest is assumed: nobody says."),
        ("Stripe", "answer", "assumed"),
    ]
