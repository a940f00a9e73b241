"""What must agree with each other: routes and who verifies, Procfile and code, settings and documents, log and keys."""

import ast
import re

import click
import pytest
from flask import Flask

from console import COMMANDS
from console.launch.procfile import parse_procfile
from schemas.log_line import ALLOWED_KEYS
from schemas.options import OPTIONS
from schemas.settings import FORM_SECRETS_PREFIX
from tests.guards.source import ROOMS, ROOT, SNAKE_CASE, Module, called_name, modules, text_of
from tests.world import World, settings_for
from webhooks.routes import PUBLIC_ENDPOINTS
from workers.__main__ import ROLE_OF_PROCESS
from workers.queue import JOB_OF_QUEUE


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    world = World(settings_for(tmp_path_factory.mktemp("world")))
    application = world.client.application
    world.close()
    return application


# Routes


def test_every_route_verifies_its_caller_or_is_public_on_purpose(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    unguarded = {name for name in endpoints if not getattr(app.view_functions[name], "is_verified", False)}
    assert unguarded == PUBLIC_ENDPOINTS  # and no name in the list is stale


def test_only_posts_and_pages_are_routed(app: Flask) -> None:
    """A method that nobody thought of is refused."""
    methods = {method for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    assert methods == {"GET", "HEAD", "OPTIONS", "POST"}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/webhooks/"):
            assert set(rule.methods or ()) == {"OPTIONS", "POST"}


# Processes


def procfile() -> dict[str, str]:
    return parse_procfile((ROOT / "Procfile").read_text(encoding="utf-8"))


def test_every_worker_process_of_the_procfile_is_one_of_the_codes_and_the_other_way_round() -> None:
    workers = {name: command for name, command in procfile().items() if name not in ("release", "web")}
    assert workers == {name: f"python -m workers {name}" for name in ROLE_OF_PROCESS}


def test_every_queue_has_a_process_and_a_job_that_exists() -> None:
    assert set(JOB_OF_QUEUE) == set(ROLE_OF_PROCESS) - {"clock"}
    functions = {
        f"workers.jobs.{node.name}"
        for module in modules("workers")
        if module.path == "workers/jobs.py"
        for node in module.functions()
        if not node.name.startswith("_") and not node.args.args
    }
    assert set(JOB_OF_QUEUE.values()) == functions


# Settings and commands


def names_read_by_load_settings() -> set[str]:
    """Every env.<type>("NAME", ...) of schemas/settings.py."""
    (module,) = (module for module in modules("schemas") if module.path == "schemas/settings.py")
    return {
        name
        for call in module.calls()
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "env"
        and call.args
        and (name := text_of(call.args[0]))
    }


def test_every_declared_setting_is_read_and_every_one_that_is_read_is_declared() -> None:
    declared = [option.name for option in OPTIONS]
    assert len(declared) == len(set(declared))
    assert set(declared) - {f"{FORM_SECRETS_PREFIX}<FORM>"} == names_read_by_load_settings()


@pytest.mark.parametrize("page", ["docs/reference/settings.md", "README.md"])
def test_every_setting_is_documented(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [option.name for option in OPTIONS if f"`{option.name}`" not in text] == []


def leaves(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        return [leaf for name, one in command.commands.items() for leaf in leaves(one, f"{path} {name}")]
    return [(path, command)]


ALL_COMMANDS = dict(leaf for command in COMMANDS for leaf in leaves(command, f"flask {command.name}"))


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_every_command_has_help_and_is_documented_with_its_options(name: str) -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    command = ALL_COMMANDS[name]
    assert command.help
    found = re.search(rf"^### `{re.escape(name)}[ `](.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{name} has no heading"
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.opts[0] in found.group(1) or f"`{option.opts[0]}`" in text[: text.index("\n## ")]


# The log


def log_calls(module: Module) -> list[ast.Call]:
    """log.<level>(...), and level(...) where the level is chosen first."""
    return [call for call in module.calls() if re.match(r"(log\.\w+|level)\(", ast.unparse(call))]


def logging_modules() -> list[Module]:
    return [module for module in modules() if module.path.split("/")[0] in (*ROOMS, "app.py", "gunicorn.conf.py")]


def test_every_key_of_a_log_line_is_allowed() -> None:
    """A key that is not on the list would silently be left out of the line."""
    used = {
        (module.path, keyword.arg)
        for module in logging_modules()
        for call in log_calls(module)
        for keyword in call.keywords
        if keyword.arg is not None
    }
    assert {arg for _, arg in used} > {"reason", "process"}
    assert {(path, arg) for path, arg in used if arg not in ALLOWED_KEYS} == set()


def test_the_servers_own_lines_use_allowed_keys_too() -> None:
    """gunicorn.conf.py gathers its fields in a dictionary before it writes them."""
    (module,) = (module for module in modules() if module.path == "gunicorn.conf.py")
    keys = {
        text_of(node.slice)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "fields"
    }
    assert "pid" in keys
    assert keys <= ALLOWED_KEYS


def test_every_event_has_a_fixed_name() -> None:
    for module in logging_modules():
        if module.path != "gunicorn.conf.py":
            for call in log_calls(module):
                assert SNAKE_CASE.fullmatch(text_of(call.args[0]) or ""), f"{module.path}:{call.lineno}"


def test_nothing_else_writes_to_a_log() -> None:
    """A message of `logging` could hold anything; ours have fixed names and listed keys."""
    allowed = {"schemas/log_line.py", "gunicorn.conf.py", "workers/outgoing.py"}  # the last one silences urllib3
    for module in logging_modules():
        if module.path not in allowed:
            calls = [called_name(call) for call in module.calls() if called_name(call) in {"getLogger", "basicConfig"}]
            assert calls == [], module.path
