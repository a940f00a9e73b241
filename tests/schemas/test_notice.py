"""The privacy notice: said from policy.toml, the same bytes each time, and honest about what a change means."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from schemas.message import LANGUAGES
from schemas.notice import blocks, format_notice, must_ask_again, notice_sha256
from schemas.policy import Policy, Text, load_policy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(ROOT / "policy.toml")


def changed(policy: Policy, table: str, key: str, **values: Any) -> Policy:
    """The policy with one row of a table changed."""
    rows = dict(getattr(policy, table))
    rows[key] = replace(rows[key], **values)
    return replace(policy, **{table: MappingProxyType(rows)})


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_says_all_that_the_policy_says(policy: Policy, language: str) -> None:
    text = format_notice(policy, language)
    said = [policy.controller.name, policy.controller.contact_url, policy.authority.name, policy.authority.url]
    for purpose in policy.purposes.values():
        said += [getattr(purpose.name, language), getattr(purpose.description, language)]
    for processor in policy.processors.values():
        said += [processor.name, str(processor.dpa_url)]
        for residual in processor.residual:
            said += [getattr(residual.what, language), residual.source, str(residual.days or "")]
    said += [getattr(field.name, language) for field in policy.personal_data.values()]
    assert [words for words in said if words not in text] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_part_is_a_heading_a_list_or_a_paragraph(policy: Policy, language: str) -> None:
    parts = list(blocks(format_notice(policy, language)))
    assert [part.kind for part in parts].count("heading") == 1
    assert [part.kind for part in parts].count("subheading") == 6
    for part in parts:
        assert len(part.lines) == 1 or part.kind == "list"
        assert all(line and not line.startswith(("#", "- ", " ")) and "\n" not in line for line in part.lines)


def test_both_languages_have_the_same_parts(policy: Policy) -> None:
    shapes = [[(part.kind, len(part.lines)) for part in blocks(format_notice(policy, one))] for one in LANGUAGES]
    assert shapes[0] == shapes[1]


def test_the_same_policy_is_the_same_text_and_another_is_not(policy: Policy) -> None:
    hashes = {notice_sha256(format_notice(policy, "nb")) for _ in range(2)}
    hashes.add(notice_sha256(format_notice(replace(policy, version="2"), "nb")))
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("table", "key", "values", "reason"),
    [
        ("purposes", "offers", {"description": Text(nb="Noe annet.", en="Another.")}, "purpose_described_anew"),
        ("purposes", "offers", {"legal_basis": "eu-gdpr:A6-1-f"}, "purpose_changed"),
        ("processors", "google", {"region": "US"}, "processor_changed"),
    ],
)
def test_a_change_that_a_consent_does_not_cover_is_asked_again(
    policy: Policy, table: str, key: str, values: dict[str, Any], reason: str
) -> None:
    again = must_ask_again(policy, changed(policy, table, key, **values))
    concerned = {"offers"} if table == "purposes" else {*policy.purposes}
    assert again == dict.fromkeys(concerned, (reason,))


def test_more_data_another_processor_and_more_at_a_processor_are_asked_again(policy: Policy) -> None:
    less = changed(policy, "processors", "google", holds=("email",))
    without = replace(
        less,
        processors=MappingProxyType({key: one for key, one in less.processors.items() if key != "stripe"}),
        personal_data=MappingProxyType({"email": policy.personal_data["email"]}),
    )
    reasons = must_ask_again(without, policy)["newsletter"]
    assert reasons == ("more_data", "another_processor", "processor_holds_more")
    assert must_ask_again(policy, without) == {}, "less of everything needs nobody's consent"


def test_a_purpose_that_is_new_asks_nobody_again(policy: Policy) -> None:
    older = replace(
        policy, purposes=MappingProxyType({key: one for key, one in policy.purposes.items() if key != "offers"})
    )
    assert must_ask_again(older, policy) == {}
