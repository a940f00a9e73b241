"""A profile from the form to the mailer's list: a closed list of answers, a yes of its own, nothing afterwards."""

import csv
from pathlib import Path

import pytest

from schemas.policy import PolicyError, load_policy
from tests.world import ROOT, World, settings_for

PROFILE = """
[profile.interests]
name = { nb = "Interesser", en = "Interests" }
[profile.interests.values]
boats = { nb = "Båter", en = "Boats" }
bridges = { nb = "Broer", en = "Bridges" }
[forms.newsletter.facts]
interests = "interest"
"""
SHIPPED = (ROOT / "policy.toml").read_text(encoding="utf-8")


@pytest.fixture
def world(tmp_path: Path) -> World:
    policy = tmp_path / "policy.toml"
    policy.write_text(SHIPPED + PROFILE, encoding="utf-8")
    return World(settings_for(tmp_path, policy_file=policy))


def exported(world: World, path: Path) -> list[dict[str, str]]:
    assert world.command("consents", "export", "newsletter", "--to", str(path)).exit_code == 0
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_told_on_the_form_reaches_the_list_until_the_profile_is_withdrawn(world: World, tmp_path: Path) -> None:
    told = {"newsletter": "yes", "profiling": "yes", "interest": ["bridges", "boats", "kari@example.no"]}
    world.give("kari@example.no", **told)  # type: ignore[arg-type]
    world.give("ola@example.no", newsletter="yes", interest="boats")
    people = {row["email"]: row["interests"] for row in exported(world, tmp_path / "before.csv")}
    assert people == {"kari@example.no": "boats bridges", "ola@example.no": ""}
    rules = {leaf["rule"] for leaf in world.leaves() if leaf["kind"] == "minimisation.dropped"}
    assert rules == {"value_not_listed", "profiling_not_consented"}
    said = {"email": "kari@example.no"}
    assert world.post_signed("withdrawal", said).status_code == 200
    world.record()
    assert "kari@example.no" not in [row["email"] for row in exported(world, tmp_path / "after.csv")]
    world.close()


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (('interests = "interest"', 'shoe-size = "interest"'), "forms.newsletter.facts"),
        (
            ("[forms.newsletter.facts]", "[forms.newsletter-contact-form-7.facts]"),
            "forms.newsletter-contact-form-7.facts",
        ),
    ],
)
def test_a_form_may_only_ask_what_the_list_has_and_where_it_asks_for_a_yes(
    tmp_path: Path, change: tuple[str, str], path: str
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(SHIPPED + PROFILE.replace(*change), encoding="utf-8")
    with pytest.raises(PolicyError) as refused:
        load_policy(file)
    assert [where for where, _ in refused.value.errors] == [path]
