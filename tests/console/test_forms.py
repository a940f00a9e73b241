"""`flask forms`: every page of docs/senders is tried with its own block and sample, and no verdict shows a person."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import create_console
from console.forms import HINTS, PATH_ONLY, SAMPLES, samples_of
from schemas.dialects import DIALECTS, SECRET
from schemas.policy import load_policy
from tests.webhooks.capture import FOLDER as CAPTURES
from tests.world import FORM_SECRET, ROOT, World, settings_for

SENDERS = ROOT / "docs" / "senders"
MADE_UP = {"companion", "generic", "jetpack_forms", "wp_webhooks", "ws_form"}  # no capture of them
ABOUT_ZOE = ("zoe", "Zo", "Neil", "hne", "ller", "491234", "127.0.0.1")
CF7, GF, SELECTED = "newsletter-contact-form-7", "newsletter-gravity-forms", "newsletter-gravity-forms-selected"
# A Norwegian identity number that nobody can have: the tax administration's synthetic ones add 80 to the month.
IDENTITY_NUMBER = "21865490000"


def blocks() -> dict[str, str]:
    """dialect -> the block of its page."""
    pages = [page.read_text("utf-8") for page in sorted(SENDERS.glob("*.md"))]
    found = [block for page in pages for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)]
    return {form["dialect"]: block for block in found for form in tomllib.loads(block).get("forms", {}).values()}


def form_of(dialect: str) -> str:
    (key,) = tomllib.loads(blocks()[dialect])["forms"]
    return str(key)


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An installation whose policy has the block of every page."""
    folder = tmp_path_factory.mktemp("documented")
    text = (ROOT / "policy.toml").read_text("utf-8")
    shipped = tomllib.loads(text)["forms"]
    added = [block for dialect, block in blocks().items() if form_of(dialect) not in shipped]
    (folder / "policy.toml").write_text("\n".join([text, *added]), "utf-8")
    forms = load_policy(folder / "policy.toml").forms
    secrets = {key: (FORM_SECRET,) for key in forms if key != "withdrawal"}
    made = World(replace(settings_for(folder, policy_file=folder / "policy.toml"), form_secrets=secrets))
    yield made
    made.close()


def verdict(world: World, *arguments: str, exit_code: int = 0, body: str | None = None) -> dict[str, Any]:
    done = world.console.invoke(args=["forms", "test", *arguments, "--json"], input=body)
    assert done.exit_code == exit_code, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_the_block_of_a_page_understands_the_sample_of_its_plugin(documented: World, dialect: str) -> None:
    told = verdict(documented, form_of(dialect))
    assert (told["verdict"], told["dialect"], told["person"]) == ("recorded", dialect, "z***@e***.test")
    # The captured customer was asked nothing.
    expected = "says nothing" if dialect == "woocommerce" else "yes"
    assert {purpose["answer"] for purpose in told["purposes"] if purpose["purpose"] == "newsletter"} == {expected}
    assert documented.statuses() == []


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_no_verdict_shows_who_it_is_about(documented: World, dialect: str) -> None:
    for form in (form_of(dialect), "withdrawal" if dialect == "generic" else form_of(dialect)):
        for shape in ([], ["--json"]):
            output = documented.command("forms", "test", form, *shape).output
            assert output
            assert [part for part in ABOUT_ZOE if part in output] == []


@pytest.mark.parametrize("dialect", sorted(set(DIALECTS) - MADE_UP))
def test_a_sample_is_a_capture_and_its_page_shows_a_part_of_it(dialect: str) -> None:
    captures = {path.read_bytes() for path in CAPTURES.glob("*.http")}
    samples = [raw for _, raw in samples_of(dialect)]
    assert set(samples) <= captures
    shown = re.findall(r"```json\n(.*?)```", (SENDERS / f"{dialect}.md").read_text("utf-8"), re.DOTALL)
    bodies = [sample.partition(b"\n\n")[2] for sample in samples]
    assert shown or dialect == "elementor"
    for document in shown:
        assert is_part_of(json.loads(document), json.loads(bodies[0]))


def is_part_of(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(is_part_of(value, whole.get(key)) for key, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(is_part_of, part, whole))
    return bool(part == whole)


def test_the_page_of_a_plugin_that_nobody_saw_says_so() -> None:
    for page in sorted(SENDERS.glob("*.md")):
        if page.stem in DIALECTS and page.stem not in {"companion", "generic"}:
            beginning = page.read_text("utf-8").split("\n\n")[1]
            assert ("not seen" in beginning) == (page.stem in MADE_UP), page.name


@pytest.mark.parametrize("dialect", sorted(key for key, dialect in DIALECTS.items() if dialect.scheme == SECRET))
def test_the_door_agrees(documented: World, dialect: str) -> None:
    """The same sample, sent to the address that `flask forms list` prints, is taken in and not parked."""
    head, _, body = samples_of(dialect)[0][1].partition(b"\n\n")
    content_type = re.search(rb"(?i)^content-type: (.+)$", head, re.MULTILINE)
    assert content_type is not None
    answer = documented.client.post(
        f"/webhooks/forms/{form_of(dialect)}/{FORM_SECRET}", data=body, content_type=content_type[1].decode()
    )
    assert (answer.status_code, answer.get_json()) == (200, {"status": "accepted"})


@pytest.mark.parametrize(
    ("form", "capture", "value"),
    [
        (CF7, "cf7-to-webhook_newsletter_consent-no.http", "empty"),
        (GF, "gravityforms_all-fields_json_consent-no.http", "empty"),
        (SELECTED, "gravityforms_selected_json_consent-NO_reads-Not-Checked.http", "another value"),
        ("newsletter-forminator", "forminator_webhook_consent-no_key-absent.http", "absent"),
    ],
)
def test_a_no_is_told_with_what_it_was_read_from(documented: World, form: str, capture: str, value: str) -> None:
    told = verdict(documented, form, str(CAPTURES / capture))
    (purpose,) = told["purposes"]
    assert (purpose["answer"], purpose["value"]) == ("no", value)


def test_a_body_alone_is_enough(documented: World, tmp_path: Path) -> None:
    told = verdict(documented, "withdrawal", "-", body='{"email": "kari@example.no"}\n')
    assert (told["intent"], {one["answer"] for one in told["purposes"]}) == ("withdrawal", {"withdrawn"})
    assert verdict(documented, "withdrawal", "-", body="email=kari%40example.no\n")["verdict"] == "recorded"
    sample = tmp_path / "crlf.http"
    sample.write_bytes(b"POST / HTTP/1.1\r\nContent-Type: application/json\r\n\r\n" + b'{"email": "kari@example.no"}')
    assert verdict(documented, "withdrawal", str(sample))["verdict"] == "recorded"


def test_a_renamed_field_would_be_parked_and_a_hint_says_why(documented: World) -> None:
    body = json.dumps({"your-email": "kari@example.no", "samtykke": "1"})
    told = verdict(documented, CF7, "-", body=body, exit_code=1)
    assert (told["verdict"], told["reason"]) == ("parked", "consent_field_missing")
    assert told["hint"] == HINTS["consent_field_missing"]
    sample = verdict(documented, SELECTED)
    assert sample["sample"] == "gravity_forms.selected.http"  # the first that the form understands


def test_what_the_door_refuses_is_told_with_its_reason(documented: World) -> None:
    twice = '{"your-email": "a@example.no", "gdpr-consent": "1", "gdpr-consent": ""}'
    assert verdict(documented, CF7, "-", body=twice, exit_code=1)["reason"] == "json_duplicate_key"
    told = verdict(documented, CF7, "-", "--content-type", "text/plain", body="{}", exit_code=1)
    assert (told["verdict"], told["reason"]) == ("refused", "content_type_not_accepted")


def test_what_is_dropped_and_what_is_not_read_is_told_by_name(documented: World) -> None:
    body = {"your-email": "kari@example.no", "gdpr-consent": "1", "first-name": IDENTITY_NUMBER, "topics": "x"}
    done = documented.console.invoke(args=["forms", "test", CF7, "-", "--json"], input=json.dumps(body))
    told = json.loads(done.stdout)
    assert told["dropped"] == [{"field": "first_name", "rule": "national_identity_number"}]
    assert (told["not_read"], told["kept"]) == (["topics"], ["email"])
    assert IDENTITY_NUMBER not in done.output


def test_a_test_of_the_plugin_is_ignored(documented: World) -> None:
    told = verdict(documented, "newsletter-forminator", "--header", "X-Hook-Test: true")
    assert told["verdict"] == "ignored"


def test_wrong_calls(documented: World) -> None:
    for arguments in (["nothing"], [CF7, "--header", "no colon"], [CF7, "no-such-file"]):
        assert documented.command("forms", "test", *arguments).exit_code == 2


def test_the_list_has_every_form_with_what_to_paste(documented: World) -> None:
    rows = {row["form"]: row for row in json.loads(documented.command("forms", "list", "--json").stdout)}
    assert set(rows) == set(documented.policy.forms)
    base = "http://samtykke.example.org/webhooks/forms"
    assert rows[CF7]["address"] == f"{base}/{CF7}"
    assert (rows[CF7]["proof"], rows[CF7]["secret"], rows[CF7]["sites"]) == ("secret in X-Gdpr-Token", "1 set", "any")
    assert (rows["withdrawal"]["proof"], rows["withdrawal"]["secret"]) == ("signature", "MISSING")
    for dialect in PATH_ONLY:
        assert rows[form_of(dialect)]["address"] == f"{base}/{form_of(dialect)}/<secret>"
    assert FORM_SECRET not in documented.command("forms", "list").output


def test_it_works_before_there_are_keys_and_makes_nothing(tmp_path: Path) -> None:
    app = create_console(settings_for(tmp_path))
    for arguments in (["list"], ["test", CF7]):
        assert app.test_cli_runner().invoke(args=["forms", *arguments]).exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_every_dialect_has_a_sample_and_every_hint_a_reason_that_exists() -> None:
    assert {path.name.split(".")[0] for path in SAMPLES.glob("*.http")} == set(DIALECTS)
    explained = (ROOT / "docs/reference/http.md").read_text("utf-8")
    assert [reason for reason in HINTS if f"`{reason}`" not in explained] == []
