"""The code itself: small, typed by its tools, without print, pickle or a naive time, and with stable reasons."""

import ast
import tomllib

import pytest

from tests.guards.source import ROOMS, ROOT, SNAKE_CASE, Module, called_name, modules, text_of

FUNCTION_LINES_MAX, MODULE_LINES_MAX = 50, 250
# Errors whose text is for the operator's eyes and not a reason: they name a setting or a place in policy.toml.
WITHOUT_REASON = {"SettingsError", "PolicyError", "DocumentError"}
OURS = tuple(module for module in modules() if module.path.split("/")[0] in (*ROOMS, "app.py", "gunicorn.conf.py"))


def identify(module: Module) -> str:
    return module.path


@pytest.mark.parametrize("module", OURS, ids=identify)
def test_a_module_is_small_and_says_its_one_job(module: Module) -> None:
    assert module.text.count("\n") <= MODULE_LINES_MAX
    assert (ast.get_docstring(module.tree) or "").strip(), "no docstring"
    for function in module.functions():
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= FUNCTION_LINES_MAX, f"{function.name} has {lines} lines"


def test_every_python_file_opens_with_a_docstring() -> None:
    assert [module.path for module in modules() if module.text.strip() and not ast.get_docstring(module.tree)] == []


def test_the_linter_refuses_print_and_naive_times_and_long_ways_round() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        tools = tomllib.load(file)["tool"]
    assert {"B", "C90", "D100", "D104", "DTZ", "F", "S", "T20", "TID"} <= set(tools["ruff"]["lint"]["select"])
    assert not {"DTZ", "T20"} & set(tools["ruff"]["lint"].get("ignore", ()))
    assert tools["mypy"]["strict"] is True
    assert set(tools["mypy"]["packages"]) == set(ROOMS)
    assert tools["pytest"]["ini_options"]["filterwarnings"] == ["error"]


@pytest.mark.parametrize("rule", ["T20", "DTZ", "S301", "S403", "C901", "PLC0415"])
def test_no_file_of_ours_silences_a_rule_that_matters(rule: str) -> None:
    assert [module.path for module in OURS if f"noqa: {rule}" in module.text] == []


def test_nothing_is_printed() -> None:
    assert [module.path for module in OURS for call in module.calls() if called_name(call) == "print"] == []


def test_the_record_and_the_door_are_told_what_time_it_is() -> None:
    """A function that reads the clock itself cannot be shown what happens when the clock steps back."""
    readings = {
        module.path
        for module in modules("schemas", "ledger", "webhooks")
        for call in module.calls()
        if called_name(call) in {"now", "utcnow", "today", "time_ns"} or ast.unparse(call.func) == "time.time"
    }
    assert readings == set()


def test_nothing_is_pickled() -> None:
    wrong = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib"}
    for module in OURS:
        for node in ast.walk(module.tree):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not wrong & {*names}, module.path


def test_every_queue_and_worker_of_rq_speaks_json_and_runs_only_our_jobs() -> None:
    made = [
        (module.path, {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords})
        for module in OURS
        for call in module.calls()
        if called_name(call) in {"Queue", "Worker", "SimpleWorker", "PatientWorker", "SpawnWorker"}
    ]
    assert {path for path, _ in made} == {"workers/queue.py", "workers/__main__.py"}
    for path, keywords in made:
        assert keywords.get("serializer") == "JSONSerializer", path
        assert keywords.get("job_class") == "AllowlistedJob", path


def reasoned_errors() -> set[str]:
    """Every class whose __init__ takes a `reason`, and whatever inherits from one."""
    classes = {node.name: node for module in OURS for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)}
    found: set[str] = set()
    for name, node in classes.items():
        makers = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        if any(argument.arg == "reason" for maker in makers for argument in maker.args.args):
            found.add(name)
    while True:
        inherited = {name for name, node in classes.items() if found & {ast.unparse(base) for base in node.bases}}
        if inherited <= found:
            return found
        found |= inherited


def test_every_reason_is_stable_and_in_snake_case() -> None:
    errors = reasoned_errors()
    assert {"Refused", "NotUnderstood", "LedgerError", "DatabaseAwayError", "RelayError", "SyntaxRefused"} <= errors
    for module in OURS:
        for call in module.calls():
            if called_name(call) not in errors:
                continue
            literals = [text_of(argument) for argument in call.args[:2]]
            literals += [text_of(keyword.value) for keyword in call.keywords if keyword.arg == "reason"]
            reasons = [one for one in literals if one is not None]
            if reasons:  # a reason that is handed on was checked where it was made
                assert SNAKE_CASE.fullmatch(reasons[0]), f"{module.path}:{call.lineno} {reasons[0]}"


def test_every_error_of_ours_has_a_reason_or_is_for_the_operator() -> None:
    raised = {
        node.name
        for module in OURS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).endswith(("Error", "Exception", "Refused")) for base in node.bases)
        and not node.name.startswith("_")  # caught in the module that raises it
    }
    assert raised - reasoned_errors() == WITHOUT_REASON
