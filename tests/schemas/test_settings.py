"""Settings: read once and strictly, from the environment, from files, and never shown."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.api_keys import ApiKey
from schemas.options import OPTIONS
from schemas.policy import load_policy
from schemas.settings import (
    FORM_SECRETS_PREFIX,
    SOCKET_PATH_SIZE_MAX_BYTES,
    SettingsError,
    form_secrets_name,
    load_settings,
    socket_path,
)
from tests.world import ROOT


@pytest.fixture(autouse=True)
def _empty_environment() -> Iterator[None]:
    """Without the developer's settings; put back afterwards, because reading a file adds to it."""
    before = dict(os.environ)
    for name in before:
        base = name.removesuffix("_FILE")
        if base in {option.name for option in OPTIONS} or name.startswith(FORM_SECRETS_PREFIX):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


def refusal(root: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(root)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_the_defaults_run_on_one_machine_without_any_setting(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    data_dir = tmp_path / "var"
    assert settings.data_dir == data_dir
    assert settings.database_url == f"sqlite:///{data_dir}/samtykke.db"
    assert settings.redis_url == f"unix://{socket_path(data_dir)}"
    assert (settings.port, settings.public_url) == (8000, "http://127.0.0.1:8000")
    assert (settings.keys_dir, settings.mail_spool_dir) == (data_dir / "keys", data_dir / "mail")
    assert settings.policy_file == tmp_path / "policy.toml"
    assert (settings.stripe_mode, settings.log_level) == ("live", "INFO")
    assert settings.unsafe_allow_loopback is False


def test_by_default_nothing_is_connected_and_no_secret_is_known(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert (settings.form_secrets, settings.stripe_webhook_secrets) == ({}, ())
    connections = (settings.stripe_api_key, settings.wordpress_url, settings.google_credentials, settings.keyring)
    assert connections == (None, None, None, None)


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("PORT", "8001", "port", 8001),
        ("PUBLIC_URL", "https://samtykke.example.no/", "public_url", "https://samtykke.example.no"),
        ("DATABASE_URL", "postgres://u@h/d", "database_url", "postgresql+psycopg://u@h/d"),
        ("DATABASE_URL", "postgresql://u@h/d", "database_url", "postgresql+psycopg://u@h/d"),
        ("DATABASE_URL", "postgresql+psycopg://u@h/d", "database_url", "postgresql+psycopg://u@h/d"),
        ("REDIS_URL", "rediss://h:6380/1", "redis_url", "rediss://h:6380/1"),
        ("REDIS_URL", "", "redis_url", None),
        ("STRIPE_WEBHOOK_SECRETS", " whsec_new , whsec_old,", "stripe_webhook_secrets", ("whsec_new", "whsec_old")),
        ("STRIPE_MODE", "any", "stripe_mode", "any"),
        ("AUDITOR_KEYS", f"{'a' * 32}, {'b' * 40}", "auditor_keys", ("a" * 32, "b" * 40)),
        (
            "WITNESSES",
            "w+1+k https://w.example/, v+2+k http://v.example/x",
            "witnesses",
            (("w+1+k", "https://w.example"), ("v+2+k", "http://v.example/x")),
        ),
        ("CHECKPOINT_MAIL_TO", "revisor@example.org", "checkpoint_mail_to", "revisor@example.org"),
        ("STRIPE_API_KEY", "", "stripe_api_key", None),
        ("UNSAFE_ALLOW_LOOPBACK", "true", "unsafe_allow_loopback", True),
        ("WEB_THREADS", "4", "web_threads", 4),
        ("SOURCE_LIMIT_PER_S", "0", "source_limit_per_s", 0),
        ("KEYRING", '{"kek":"0001"}', "keyring", '{"kek":"0001"}'),
    ],
)
def test_a_variable_is_read_with_its_type(tmp_path: Path, name: str, text: str, field: str, value: object) -> None:
    os.environ[name] = text
    expected = f"unix://{socket_path(tmp_path / 'var')}" if value is None and field == "redis_url" else value
    assert getattr(load_settings(tmp_path), field) == expected


def test_a_secret_that_looks_like_a_number_stays_text(tmp_path: Path) -> None:
    """Flask's own reader of the environment would make an integer of it."""
    os.environ |= {"STRIPE_API_KEY": "12345678", "WORDPRESS_SECRET": "true", "FORM_SECRETS_NEWSLETTER": "00012345"}
    settings = load_settings(tmp_path)
    assert (settings.stripe_api_key, settings.wordpress_secret) == ("12345678", "true")
    assert settings.form_secrets == {"newsletter": ("00012345",)}


@pytest.mark.parametrize("name", [option.name for option in OPTIONS if option.secret and "<" not in option.name])
def test_every_secret_can_stand_in_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "secret"
    text = f"mailer:check:{'k' * 43}" if name == "API_KEYS" else "sqlite:///read-from-a-file-of-its-own"
    path.write_text(f"{text}\n")
    os.environ[f"{name}_FILE"] = str(path)
    value = getattr(load_settings(tmp_path), name.lower())
    assert value in (text, (text,), (ApiKey("mailer", frozenset({"check"}), "k" * 43),))


@pytest.mark.parametrize(
    "text",
    ["mailer", "mailer:check", "mailer:check:short", f"mailer:erase:{'k' * 43}", f"Mailer:check:{'k' * 43}", "::"],
)
def test_a_key_of_a_program_is_whole_or_the_start_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    os.environ["API_KEYS"] = text
    with pytest.raises(SettingsError, match=r"^API_KEYS cannot be used$"):
        load_settings(tmp_path)


def test_form_secrets_are_found_by_the_form_they_belong_to(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("from-a-file\n")
    os.environ |= {"FORM_SECRETS_A": "one,two", "FORM_SECRETS_SIGN_UP_2_FILE": str(path), "FORM_SECRETS_EMPTY": ""}
    assert load_settings(tmp_path).form_secrets == {"a": ("one", "two"), "sign-up-2": ("from-a-file",), "empty": ()}


def test_the_name_of_a_forms_variable_leads_back_to_the_form(tmp_path: Path) -> None:
    forms = load_policy(ROOT / "policy.toml").forms
    for form in forms:
        os.environ[form_secrets_name(form)] = f"secret of {form}"
    assert load_settings(tmp_path).form_secrets == {form: (f"secret of {form}",) for form in forms}


UNUSABLE = {
    "PORT": ("eighty", "0", "70000", "-1", ""),
    "WEB_CONCURRENCY": ("two", "0", "-1"),
    "WEB_THREADS": ("1.5", "0"),
    "SOURCE_LIMIT_PER_S": ("-1", "many"),
    "STRIPE_MODE": ("production", ""),
    "WITNESSES": ("https://w.example", "w+1+k", "w+1+k w.example", "w+1+k https://w.example x"),
    "AUDITOR_KEYS": ("too-short", f"{'a' * 32},b"),
    "UNSAFE_ALLOW_LOOPBACK": ("maybe",),
    "LOG_LEVEL": ("LOUD", "info"),
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in UNUSABLE.items() for text in texts])
def test_a_value_that_cannot_be_used_is_named_and_not_shown(tmp_path: Path, name: str, text: str) -> None:
    os.environ[name] = text
    assert refusal(tmp_path) == f"{name} cannot be used"


@pytest.mark.parametrize("name", ["STRIPE_API_KEY", "PORT", "KEYRING"])
def test_a_file_that_cannot_be_read_is_an_error_and_not_an_empty_secret(tmp_path: Path, name: str) -> None:
    os.environ[f"{name}_FILE"] = str(tmp_path / "not-there")
    assert refusal(tmp_path) == f"{name} cannot be used"


def test_an_unreadable_form_secret_is_not_taken_for_another_setting(tmp_path: Path) -> None:
    os.environ["FORM_SECRETS_SUPPORT_FILE"] = str(tmp_path / "not-there")
    assert refusal(tmp_path) == "a FORM_SECRETS_ variable cannot be used"


def test_a_file_that_is_not_text_is_not_blamed_on_a_form(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"\xff\xfe")
    os.environ["STRIPE_API_KEY_FILE"] = str(path)
    assert refusal(tmp_path) == "a setting cannot be used"


def test_the_environment_wins_over_files_and_dot_env_over_what_make_run_left(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1001\nWEB_THREADS=2\n")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "development.env").write_text("PORT=1002\nWEB_THREADS=3\nFORM_SECRETS_NEWSLETTER=made\n")
    os.environ["PORT"] = "1000"
    settings = load_settings(tmp_path)
    assert (settings.port, settings.web_threads, settings.form_secrets) == (1000, 2, {"newsletter": ("made",)})


def test_the_pointer_of_make_run_leads_to_its_data(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "development.env").write_text("STRIPE_WEBHOOK_SECRETS=whsec_made\n")
    (tmp_path / ".samtykke.env").write_text(f"DATA_DIR={elsewhere}\n")
    settings = load_settings(tmp_path)
    assert (settings.data_dir, settings.stripe_webhook_secrets) == (elsewhere, ("whsec_made",))


def test_a_socket_always_fits_into_its_address(tmp_path: Path) -> None:
    assert socket_path(tmp_path) == tmp_path / "valkey.sock"
    deep = tmp_path / ("d" * 60) / ("æ" * 30)
    path = socket_path(deep)
    assert len(os.fsencode(path)) <= SOCKET_PATH_SIZE_MAX_BYTES
    assert path != socket_path(deep / "other")
    assert path == socket_path(deep)


def test_settings_never_show_a_value(tmp_path: Path) -> None:
    os.environ["STRIPE_API_KEY"] = "rk_live_kanari7f3a"
    settings = load_settings(tmp_path)
    assert "kanari7f3a" not in f"{settings} {settings!r}"


SMTP = {"MAIL_TRANSPORT": "smtp", "SMTP_HOST": "smtp.example.org"}


def test_mail_by_smtp_is_encrypted_unless_it_stays_on_this_machine(tmp_path: Path) -> None:
    os.environ |= SMTP
    settings = load_settings(tmp_path)
    assert (settings.smtp_host, settings.smtp_port, settings.smtp_tls) == ("smtp.example.org", 587, "starttls")
    os.environ |= {"SMTP_TLS": "none", "UNSAFE_ALLOW_LOOPBACK": "true"}
    assert refusal(tmp_path) == "SMTP_TLS cannot be used"
    os.environ["SMTP_HOST"] = "127.0.0.1"
    assert load_settings(tmp_path).smtp_tls == "none"
    os.environ["UNSAFE_ALLOW_LOOPBACK"] = "false"
    assert refusal(tmp_path) == "SMTP_TLS cannot be used"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SMTP_HOST": ""}, "SMTP_HOST"),
        ({"SMTP_USER": "samtykke"}, "SMTP_PASSWORD"),
        ({"SMTP_PORT": "0"}, "SMTP_PORT"),
        ({"SMTP_TLS": "ssl"}, "SMTP_TLS"),
        ({"MAIL_TRANSPORT": "sendmail"}, "MAIL_TRANSPORT"),
    ],
)
def test_half_a_mail_server_is_refused_by_name(tmp_path: Path, changes: dict[str, str], named: str) -> None:
    os.environ |= {**SMTP, **changes}
    assert refusal(tmp_path) == f"{named} cannot be used"
