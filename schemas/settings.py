"""Settings: every environment variable of schemas/options.py, read once and strictly.

Secrets come from the environment or from a file named by `<NAME>_FILE` (environs' FileAwareEnv).
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from environs import EnvError, FileAwareEnv
from marshmallow.validate import OneOf, Range

from schemas.api_keys import ApiKey, read_api_keys
from schemas.options import OPTIONS
from schemas.setting_values import comma_separated, read_auditor_keys, read_database_url, read_witnesses

# sun_path of a unix socket holds 108 bytes on Linux and 104 on macOS (unix(7)); leave room for the NUL.
SOCKET_PATH_SIZE_MAX_BYTES = 100
FORM_SECRETS_PREFIX = "FORM_SECRETS_"
STRIPE_MODES = ("live", "test", "any")
SPOOL, GMAIL, SMTP = MAIL_TRANSPORTS = ("spool", "gmail", "smtp")
STARTTLS, TLS, NO_TLS = SMTP_ENCRYPTIONS = ("starttls", "tls", "none")
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(Exception):
    """A setting is missing or has a value that cannot be used; names it, never shows its value."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment said, typed. `repr` is redacted: it never shows a value."""

    data_dir: Path
    database_url: str
    redis_url: str
    port: int
    public_url: str
    web_concurrency: int
    web_threads: int
    source_limit_per_s: int
    policy_file: Path
    keys_dir: Path
    keyring: str | None
    form_secrets: Mapping[str, tuple[str, ...]]
    stripe_webhook_secrets: tuple[str, ...]
    stripe_mode: str
    stripe_api_key: str | None
    stripe_api_base: str
    wordpress_url: str | None
    wordpress_secret: str | None
    wordpress_user: str | None
    wordpress_application_password: str | None
    wpengine_install_id: str | None
    wpengine_api_user: str | None
    wpengine_api_password: str | None
    wpengine_api_base: str
    stripe_redaction: bool
    stripe_pause_restricted: bool
    google_credentials: str | None
    google_subject: str | None
    google_api_base: str
    gmail_mailbox: str | None
    gmail_credentials: str | None
    gmail_topic: str | None
    gmail_push_subscription: str | None
    gmail_push_account: str | None
    gmail_push_audience: str
    gmail_api_base: str
    gmail_delete_permanently: bool
    people_api_base: str
    google_certs_url: str
    mail_from: str
    mail_transport: str
    mail_spool_dir: Path
    smtp_host: str | None
    smtp_port: int
    smtp_user: str | None
    smtp_password: str | None
    smtp_tls: str
    checkpoint_drop_dir: Path | None
    checkpoint_mail_to: str | None
    operator_mail_to: str | None
    witnesses: tuple[tuple[str, str], ...]
    mirror_dir: Path | None
    auditor_keys: tuple[str, ...]
    api_keys: tuple[ApiKey, ...]
    unsafe_allow_loopback: bool
    log_level: str

    def __repr__(self) -> str:
        return "Settings(redacted)"


def socket_path(data_dir: Path) -> Path:
    """Where the embedded Valkey listens: in DATA_DIR, or in a private short path if that is too long."""
    path = data_dir.resolve() / "valkey.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_SIZE_MAX_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    return Path(f"/tmp/samtykke-{os.getuid()}-{digest}/valkey.sock")  # noqa: S108 - made 0700 by the launcher


def _environment_files(root: Path) -> list[Path]:
    """Where variables may stand besides the environment: `.env`, then what `make run` left for this folder.

    `.samtykke.env` names the DATA_DIR of the last `make run`; development.env in it holds its secrets.
    """
    files = [root / ".env", root / ".samtykke.env"]
    named = [os.environ.get("DATA_DIR")] + [dotenv_values(path).get("DATA_DIR") for path in files if path.is_file()]
    data_dir = next((Path(name) for name in named if name), root / "var")
    return [path for path in (*files, data_dir / "development.env") if path.is_file()]


def _folder(root: Path, text: str) -> Path | None:
    return root / text if text else None


def _form_secrets(env: FileAwareEnv, files: list[Path]) -> dict[str, tuple[str, ...]]:
    names = set(os.environ).union(*(dotenv_values(path) for path in files))
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name.startswith(FORM_SECRETS_PREFIX):
            base = name.removesuffix("_FILE")
            form = base.removeprefix(FORM_SECRETS_PREFIX).lower().replace("_", "-")
            found[form] = comma_separated(env.str(base, ""))
    return found


def form_secrets_name(form: str) -> str:
    """The variable that holds the secrets of a form: `newsletter` -> `FORM_SECRETS_NEWSLETTER`."""
    return FORM_SECRETS_PREFIX + form.upper().replace("-", "_")


def load_settings(root: Path | None = None) -> Settings:
    """Read every setting; raises SettingsError that names the one that cannot be used, never its value."""
    root = (root or Path.cwd()).resolve()
    files = _environment_files(root)
    # The default prefix of environs' error texts is the variable's name: kept; the value is cut off.
    env = FileAwareEnv(strip_whitespace=True)
    for path in files:
        env.read_env(path, recurse=False)
    try:
        return _build(env, root, files)
    except (EnvError, ValueError) as error:
        raise SettingsError(f"{_named_in(str(error))} cannot be used") from None


def _named_in(text: str) -> str:
    """Which setting an error speaks of. FORM_SECRETS_SUPPORT is not PORT."""
    if FORM_SECRETS_PREFIX in text:
        return f"a {FORM_SECRETS_PREFIX} variable"
    found = re.findall(r"[A-Z][A-Z_]+", text)
    return next((option.name for option in OPTIONS if {option.name, f"{option.name}_FILE"} & {*found}), "a setting")


def _build(env: FileAwareEnv, root: Path, files: list[Path]) -> Settings:
    data_dir = (root / env.str("DATA_DIR", "var")).resolve()
    port = env.int("PORT", 8000, validate=Range(1, 65535))
    public_url = env.str("PUBLIC_URL", f"http://127.0.0.1:{port}").rstrip("/")
    return Settings(
        data_dir=data_dir,
        database_url=read_database_url(env.str("DATABASE_URL", ""), data_dir),
        redis_url=env.str("REDIS_URL", "") or f"unix://{socket_path(data_dir)}",
        port=port,
        public_url=public_url,
        web_concurrency=env.int("WEB_CONCURRENCY", 1, validate=Range(min=1)),
        web_threads=env.int("WEB_THREADS", 8, validate=Range(min=1)),
        source_limit_per_s=env.int("SOURCE_LIMIT_PER_S", 100, validate=Range(min=0)),
        policy_file=root / env.str("POLICY_FILE", "policy.toml"),
        keys_dir=root / env.str("KEYS_DIR", str(data_dir / "keys")),
        keyring=env.str("KEYRING", "") or None,
        form_secrets=_form_secrets(env, files),
        stripe_webhook_secrets=comma_separated(env.str("STRIPE_WEBHOOK_SECRETS", "")),
        stripe_mode=env.str("STRIPE_MODE", "live", validate=OneOf(STRIPE_MODES)),
        **_processors(env, public_url),
        mail_from=env.str("MAIL_FROM", "samtykke@example.org"),
        mail_transport=env.str("MAIL_TRANSPORT", SPOOL, validate=OneOf(MAIL_TRANSPORTS)),
        mail_spool_dir=root / env.str("MAIL_SPOOL_DIR", str(data_dir / "mail")),
        **_smtp(env),
        checkpoint_drop_dir=_folder(root, env.str("CHECKPOINT_DROP_DIR", "")),
        checkpoint_mail_to=env.str("CHECKPOINT_MAIL_TO", "") or None,
        operator_mail_to=env.str("OPERATOR_MAIL_TO", "") or None,
        witnesses=read_witnesses(env.str("WITNESSES", "")),
        mirror_dir=_folder(root, env.str("MIRROR_DIR", "")),
        auditor_keys=read_auditor_keys(env.str("AUDITOR_KEYS", "")),
        api_keys=read_api_keys(comma_separated(env.str("API_KEYS", ""))),
        unsafe_allow_loopback=env.bool("UNSAFE_ALLOW_LOOPBACK", False),
        log_level=env.str("LOG_LEVEL", "INFO", validate=OneOf(LOG_LEVELS)),
    )


def _processors(env: FileAwareEnv, public_url: str) -> dict[str, Any]:
    """How each processor is reached, and what may be done there."""
    return {
        "stripe_api_key": env.str("STRIPE_API_KEY", "") or None,
        "stripe_api_base": env.str("STRIPE_API_BASE", "https://api.stripe.com"),
        "wordpress_url": env.str("WORDPRESS_URL", "") or None,
        "wordpress_secret": env.str("WORDPRESS_SECRET", "") or None,
        "wordpress_user": env.str("WORDPRESS_USER", "") or None,
        "wordpress_application_password": env.str("WORDPRESS_APPLICATION_PASSWORD", "") or None,
        "wpengine_install_id": env.str("WPENGINE_INSTALL_ID", "") or None,
        "wpengine_api_user": env.str("WPENGINE_API_USER", "") or None,
        "wpengine_api_password": env.str("WPENGINE_API_PASSWORD", "") or None,
        "wpengine_api_base": env.str("WPENGINE_API_BASE", "https://api.wpengineapi.com/v1").rstrip("/"),
        "stripe_redaction": env.bool("STRIPE_REDACTION", False),
        "stripe_pause_restricted": env.bool("STRIPE_PAUSE_RESTRICTED", False),
        "google_credentials": env.str("GOOGLE_CREDENTIALS", "") or None,
        "google_subject": env.str("GOOGLE_SUBJECT", "") or None,
        "google_api_base": env.str("GOOGLE_API_BASE", "https://admin.googleapis.com"),
        "gmail_mailbox": env.str("GMAIL_MAILBOX", "") or None,
        "gmail_credentials": env.str("GMAIL_CREDENTIALS", "") or None,
        "gmail_topic": env.str("GMAIL_TOPIC", "") or None,
        "gmail_push_subscription": env.str("GMAIL_PUSH_SUBSCRIPTION", "") or None,
        "gmail_push_account": env.str("GMAIL_PUSH_ACCOUNT", "") or None,
        "gmail_push_audience": env.str("GMAIL_PUSH_AUDIENCE", "") or f"{public_url}/webhooks/gmail",
        "gmail_api_base": env.str("GMAIL_API_BASE", "https://gmail.googleapis.com"),
        "gmail_delete_permanently": env.bool("GMAIL_DELETE_PERMANENTLY", False),
        "people_api_base": env.str("PEOPLE_API_BASE", "https://people.googleapis.com"),
        "google_certs_url": env.str("GOOGLE_CERTS_URL", "https://www.googleapis.com/oauth2/v1/certs"),
    }


def _smtp(env: FileAwareEnv) -> dict[str, Any]:
    """Where SMTP is chosen it must be whole; a password and what people say of themselves never leave in the clear."""
    host, encryption = env.str("SMTP_HOST", ""), env.str("SMTP_TLS", STARTTLS, validate=OneOf(SMTP_ENCRYPTIONS))
    user, password = env.str("SMTP_USER", ""), env.str("SMTP_PASSWORD", "")
    if not host and env.str("MAIL_TRANSPORT", SPOOL) == SMTP:
        raise ValueError("SMTP_HOST")
    if encryption == NO_TLS and not (env.bool("UNSAFE_ALLOW_LOOPBACK", False) and host in LOOPBACK_HOSTS):
        raise ValueError("SMTP_TLS")
    if user and not password:
        raise ValueError("SMTP_PASSWORD")
    return {
        "smtp_host": host or None,
        "smtp_port": env.int("SMTP_PORT", 587, validate=Range(1, 65535)),
        "smtp_user": user or None,
        "smtp_password": password or None,
        "smtp_tls": encryption,
    }
