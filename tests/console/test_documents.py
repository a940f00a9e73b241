"""The documents say what the program does: generated parts, links, commands, settings, routes, reasons, examples."""

import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from console import COMMANDS
from console.launch.procfile import parse_procfile
from console.operator import Exit
from console.reference import DOCUMENTS, DocumentError, outdated, renew
from ledger.tables import metadata
from schemas.dialects import DIALECTS
from schemas.options import OPTIONS
from tests.world import SIGNED_SECRET, World

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES, SENDERS = ROOT / "docs" / "guides", ROOT / "docs" / "senders"
README_LINES_MAX = 250
# In the documents, but not settings of the service.
OTHER_VARIABLES = {
    "DISABLE_WP_CRON",
    "GUNICORN_CMD_ARGS",
    "SAMTYKKE_NO_POINTER",
    "SAMTYKKE_URL",
    "SANDBOX_ADDRESS",
    "SANDBOX_GROUP",
    "SSL_CERT_FILE",  # OpenSSL's own
    "RELAY_ID",
    "REQUEST_ID",
    "YOUR_SECRET_KEY",
}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_of(text: str) -> str:
    """Fenced blocks and code spans: where names are meant literally."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


def block_of(name: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text_of(name), re.DOTALL)
    assert found, f"no {language} in {name}"
    return found.group(1)


def anchors_of(text: str) -> set[str]:
    """As GitHub makes them: lower case, punctuation away, a hyphen for each space."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def identify(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_generated_parts_are_current() -> None:
    assert [identify(page) for page in outdated(ROOT)] == [], "run: python -m console.reference"


def test_an_edited_table_is_not_current_and_a_lost_marker_is_an_error(tmp_path: Path) -> None:
    for name in DOCUMENTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    edited = tmp_path / "README.md"
    edited.write_text(edited.read_text(encoding="utf-8").replace("`DATA_DIR`", "`DATADIR`"), encoding="utf-8")
    assert list(outdated(tmp_path)) == [edited]
    assert outdated(tmp_path)[edited] == text_of("README.md")
    with pytest.raises(DocumentError):
        renew("no markers", "settings")


def test_the_check_ends_with_0_when_everything_is_current() -> None:
    done = subprocess.run([sys.executable, "-m", "console.reference", "--check"], cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.is_relative_to(ROOT), f"{target} leaves the project"
        assert linked.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors_of(linked.read_text(encoding="utf-8")), f"{target} has no such title"


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", text_of("docs/index.md"))}
    unlisted = set((ROOT / "docs").rglob("*.md")) - linked - {index}
    assert unlisted == set()


def test_the_readme_is_short_and_its_make_targets_exist() -> None:
    assert len(text_of("README.md").splitlines()) <= README_LINES_MAX
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"\bmake ([a-z-]+)", code_of(page.read_text("utf-8")))}
    assert {"run", "test", "demo"} <= named <= targets


def promised_tests() -> list[tuple[str, str]]:
    rows = re.findall(r"^\| (P\d) \|(.*)$", text_of("README.md"), re.MULTILINE)
    return [(promise, test) for promise, row in rows for test in re.findall(r"tests/[\w/]+\.py::\w+", row)]


def test_every_promise_names_a_test() -> None:
    assert {promise for promise, _ in promised_tests()} == {f"P{number}" for number in range(1, 9)}


@pytest.mark.parametrize("named", [test for _, test in promised_tests()])
def test_each_test_that_the_readme_names_exists(named: str) -> None:
    file, _, name = named.partition("::")
    assert re.search(rf"^def {name}\(", text_of(file), re.MULTILINE), f"{named} does not exist"


def calls_of_flask() -> Iterator[str]:
    for page in PAGES:
        yield from re.findall(r"(?:`|bin/)flask ([^`\n|]*)", code_of(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("call", sorted(set(calls_of_flask())))
def test_every_command_and_option_in_the_documents_exists(call: str) -> None:
    words = call.split()
    command = {each.name: each for each in COMMANDS}.get(words[0].strip("`"))
    assert command, f"no such command: {call}"
    if isinstance(command, click.Group) and len(words) > 1:
        command = command.commands[words[1]]
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_every_setting_in_the_documents_exists() -> None:
    constants = re.findall(r"samtykke_setting\( '([A-Z_]+)'", text_of("wordpress/samtykke.php"))
    known = {option.name for option in OPTIONS} | OTHER_VARIABLES | {f"SAMTYKKE_{name}" for name in constants}
    for page in PAGES:
        for name in re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", code_of(page.read_text(encoding="utf-8"))):
            is_known = name in known or name.removesuffix("_FILE") in known or name.startswith("FORM_SECRETS_")
            assert is_known, f"{identify(page)} names {name}"


def test_every_exit_code_is_explained() -> None:
    told = re.findall(r"^\| (\d) \| (\w+) \|", text_of("docs/reference/commands.md"), re.MULTILINE)
    assert [(int(code), name) for code, name in told] == [(int(code), code.name.lower()) for code in Exit]


def test_every_process_of_the_procfile_is_explained() -> None:
    told = re.findall(r"^\| `([\w-]+)` \|", text_of("docs/reference/processes.md"), re.MULTILINE)
    assert set(told) == set(parse_procfile(text_of("Procfile")))


def test_every_table_is_in_the_list_of_what_is_stored() -> None:
    text = text_of("docs/concepts/what-is-stored-where.md")
    assert {name for name in metadata.tables if f"`{name}`" not in text} == set()


def test_every_route_and_metric_is_documented_and_no_other(world: World) -> None:
    text = text_of("docs/reference/http.md")
    told = {(method, path) for method, path in re.findall(r"`(GET|POST) (/[^`]*)`", text.partition("## Webhooks")[0])}
    rules = world.client.application.url_map.iter_rules()
    assert told == {(method, rule.rule) for rule in rules for method in rule.methods or () if method in ("GET", "POST")}
    metrics = set(re.findall(r"^# HELP (\w+)", world.client.get("/metrics").text, re.MULTILINE))
    assert {name for name in metrics if not name.endswith("_created")} == set(re.findall(r"`(samtykke_\w+)`", text))


@pytest.mark.parametrize(
    ("sources", "pattern", "page"),
    [
        ("webhooks schemas ledger", r'(?<!Token)(?:Refused|NotUnderstood|AwayError)\((?:\d+, )?"(\w+)"', "http"),
        ("webhooks/signatures.py", r'reason(?:: str)? ?= ?"(\w+)"', "http"),
        ("workers/record.py", r'(?:park\(.*|else )"(\w+)"', "http"),
        (
            "ledger/audit.py ledger/audit_boxes.py ledger/audit_people.py ledger/audit_tree.py",
            r'note\(\s*"(\w+)"',
            "the-ledger",
        ),
        ("ledger/checkpoints.py", r'SignerError\("(\w+)"', "the-ledger"),
        ("workers/outlets.py", r'PublishingError\("(\w+)"', "keep-checkpoints-elsewhere"),
        ("workers/witnesses.py", r'"((?:witness|checkpoint)_\w+)"', "keep-checkpoints-elsewhere"),
        ("ledger/restoration.py console/ledger/restoring.py", r'RefusedError\("(\w+)"', "restore"),
        ("console/rights.py ledger/rectification.py", r'RefusedError\("(\w+)"', "rights"),
    ],
    ids=["refusals", "signatures", "recorder", "audit", "signer", "outlets", "witnesses", "restoration", "rights"],
)
def test_every_reason_is_explained(sources: str, pattern: str, page: str) -> None:
    files = [file for source in sources.split() for file in ([ROOT / source, *(ROOT / source).rglob("*.py")])]
    found = {reason for file in files if file.is_file() for reason in re.findall(pattern, file.read_text("utf-8"))}
    explained = next(ROOT.glob(f"docs/*/{page}.md")).read_text(encoding="utf-8")
    assert found, "the pattern finds nothing any more"
    assert {reason for reason in found - {"not_a_parked_body"} if f"`{reason}`" not in explained} == set()


def test_the_forms_in_the_guides_are_those_of_the_policy() -> None:
    """Also those that wait there as comments: only the sign is taken away."""
    policy = tomllib.loads(re.sub(r"^#(?=\[|\w+ = )", "", text_of("policy.toml"), flags=re.MULTILINE))
    for guide in [*GUIDES.glob("connect-*.md"), *SENDERS.glob("*.md")]:
        for block in re.findall(r"```toml\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL):
            shown = tomllib.loads(block)
            for key, form in shown.get("forms", {}).items():
                consent = form.pop("consent")
                assert form.items() <= policy["forms"][key].items(), guide.name
                assert all(each in policy["forms"][key]["consent"] for each in consent), guide.name
            assert all(each in policy["stripe"]["consent"] for each in shown.get("stripe", {}).get("consent", []))


def test_every_dialect_has_a_page_which_the_table_of_senders_names() -> None:
    pages = {page.stem for page in SENDERS.glob("*.md")} - {"index"}
    table = set(re.findall(r"^\| \[[^\]]+\]\((\w+)\.md\) \|", text_of("docs/senders/index.md"), re.MULTILINE))
    assert pages >= {*DIALECTS}
    assert table >= {*DIALECTS}


@pytest.fixture
def service_url(world: World) -> Iterator[str]:
    """The door of a world on a port of its own."""
    client: FlaskClient = world.client
    server = make_server("127.0.0.1", 0, client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


# PHP is no part of the project: where there is one, its example is run too.
INTERPRETERS = {"python": sys.executable} | ({"php": php} if (php := shutil.which("php")) else {})


@pytest.mark.parametrize("language", INTERPRETERS)
def test_the_example_of_a_signed_sender_works(world: World, service_url: str, language: str, tmp_path: Path) -> None:
    program = tmp_path / f"send.{language}"
    program.write_text(block_of("docs/senders/generic.md", language), encoding="utf-8")
    environment = {**os.environ, "SAMTYKKE_URL": service_url, "FORM_SECRETS_NEWSLETTER": SIGNED_SECRET}
    done = subprocess.run([INTERPRETERS[language], program], env=environment, capture_output=True, text=True)
    assert '"accepted"' in done.stdout, done.stderr
    world.record()
    assert world.kinds() == [("consent.requested", "newsletter")]
