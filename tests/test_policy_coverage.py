"""Every sentence of the privacy policy has a capability and a test that exists; and the golden tests that had no home.

docs/reference/policy-coverage.md is the table. A row without a test says that it is open, and is one of those here.
"""

import re
from pathlib import Path

import pytest

from tests.guards.source import ROOT
from tests.webhooks.pages import ADDRESS, mail_both_links, mail_request
from tests.world import World, body_of

PAGE = ROOT / "docs" / "reference" / "policy-coverage.md"
ROWS = [row.split("|")[1:-1] for row in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| \d+ \|", row)]
# Incidents belong to the operator's console, which is still to come.
OPEN = {26, 27}


def named_tests(cells: list[str]) -> list[str]:
    return re.findall(r"`(tests/[^`]+)`", cells[3])


def test_each_of_the_38_sentences_has_a_row() -> None:
    assert [int(cells[0]) for cells in ROWS] == list(range(1, 39))
    assert all(cell.strip() for cells in ROWS for cell in cells)


@pytest.mark.parametrize("cells", ROWS, ids=lambda cells: cells[0].strip())
def test_a_sentence_has_tests_that_exist_or_is_open(cells: list[str]) -> None:
    is_open = "**open**" in cells[3]
    assert is_open == (int(cells[0]) in OPEN)
    assert is_open or named_tests(cells)
    for name in named_tests(cells):
        path, _, function = name.partition("::")
        assert re.search(rf"^def {function}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), name


def test_each_consent_rests_on_a_basis_and_names_its_text(world: World) -> None:
    """Sentence 1."""
    world.give("kari@example.no", newsletter="yes", offers="yes")
    said = [leaf for leaf in world.leaves() if leaf["kind"] in ("consent.requested", "consent.given")]
    assert len(said) == 4
    assert {leaf["basis"] for leaf in said} == {"consent"}
    assert {leaf["notice"] for leaf in said if leaf["kind"] == "consent.requested"} == {"unknown"}
    hashed = [leaf for leaf in said if "notice_sha256" in leaf]
    assert hashed == []  # nobody has confirmed the text that is published: then no entry says that it was shown


PARTS = {"foot", "withdraw"}
TO_OPERATORS = {"checkpoint", "deadlines"}


def letters() -> list[Path]:
    folder = ROOT / "workers" / "mails" / "templates"
    return [path for path in sorted(folder.glob("*.txt")) if path.stem not in PARTS | TO_OPERATORS]


@pytest.mark.parametrize("path", letters(), ids=lambda path: path.stem)
def test_every_letter_says_how_to_reach_us_and_where_to_complain(path: Path) -> None:
    """Sentences 36 and 38."""
    assert '{% include "foot.txt" %}' in path.read_text(encoding="utf-8")


def test_what_each_letter_ends_with(world: World) -> None:
    """Sentences 36 and 38, as people read them."""
    mail_both_links(world)
    mail_request(world)
    for mail in world.mails():
        assert world.policy.controller.contact_url in body_of(mail)
        assert f"Du kan klage til Datatilsynet: {world.policy.authority.url}" in body_of(mail)


def test_every_page_says_how_to_reach_us_and_where_to_complain(world: World) -> None:
    """Sentences 36 and 38."""
    mail_both_links(world)
    for path in ("/privacy", "/rights", "/receipt", world.link("w"), world.link("c")):
        text = world.client.get(path).get_data(as_text=True)
        assert f'href="{world.policy.controller.contact_url}"' in text
        assert f'href="{world.policy.authority.url}"' in text
    assert ADDRESS not in text


def test_no_text_of_ours_narrows_the_right_to_complain(world: World) -> None:
    """Sentence 37: GDPR Article 77 cannot be narrowed, so a third party's fault is a matter for Datatilsynet too."""
    for language in ("nb", "en"):
        text = world.client.get("/rights", headers={"Accept-Language": language}).get_data(as_text=True)
        for processor in world.policy.processors.values():
            assert processor.name in text
        assert world.policy.authority.name in text.partition("<footer>")[0]
