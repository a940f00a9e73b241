"""`flask notice`: the text, its hash, and whom a change of it asks again."""

import json
from pathlib import Path

from schemas.notice import format_notice, notice_sha256
from tests.world import ROOT, World


def test_it_prints_the_text_and_its_hash(world: World) -> None:
    text = format_notice(world.policy, "en")
    assert world.command("notice", "show", "--language", "en").output == text
    told = json.loads(world.command("notice", "hash", "--language", "en", "--json").stdout)
    assert told == {"language": "en", "sha256": notice_sha256(text)}


def test_it_tells_what_has_changed_and_how_many_must_be_asked_again(world: World, tmp_path: Path) -> None:
    world.give("kari@example.no")
    older = tmp_path / "older.toml"
    text = (ROOT / "policy.toml").read_text("utf-8")
    older.write_text(
        text.replace('en = "We send you our newsletter by e-mail."', 'en = "We send you a letter."'), "utf-8"
    )
    result = world.command("notice", "compare", str(older), "--language", "en", "--json")
    assert json.loads(result.stdout) == {
        "changed": [
            "-- Newsletter: We send you a letter. Basis: your consent.",
            "+- Newsletter: We send you our newsletter by e-mail. Basis: your consent.",
        ],
        "ask_again": [{"purpose": "newsletter", "people": 1, "because": "purpose_described_anew"}],
    }
    same = world.command("notice", "compare", str(ROOT / "policy.toml"), "--json")
    assert json.loads(same.stdout) == {"changed": [], "ask_again": []}
