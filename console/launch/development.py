"""development.env: secrets that are made once and kept, and addresses that are renewed at every start."""

import base64
import os
import secrets
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from schemas.dialects import DIALECTS, STANDARD
from schemas.policy import Policy
from schemas.settings import LOOPBACK_HOSTS, SPOOL, Settings, form_secrets_name

HOST = "127.0.0.1"
FILE = "development.env"
MAIL_PORT = 8025  # the port that catchers of mail are used to have
HEADER = """\
# Made by `make run`, for development only. Secrets in it are kept, addresses are renewed at every start.
# Your own settings belong in .env in the project's folder: they win over these.
"""
# The setting that says where a processor is, and the one whose presence means that somebody chose a real one.
ADDRESS_OF = {"wordpress": "WORDPRESS_URL", "stripe": "STRIPE_API_BASE", "google": "GOOGLE_API_BASE"}
CHOSEN_BY = {"wordpress": "WORDPRESS_URL", "stripe": "STRIPE_API_KEY", "google": "GOOGLE_CREDENTIALS"}
RENEWED = (*ADDRESS_OF.values(), "STRIPE_MODE", "GOOGLE_CREDENTIALS_FILE", "GOOGLE_SUBJECT")
RENEWED_ALWAYS = ("PUBLIC_URL", "UNSAFE_ALLOW_LOOPBACK")


@dataclass(frozen=True, slots=True)
class Development:
    """What development.env says, and the port of each simulator that runs."""

    values: Mapping[str, str]
    ports: Mapping[str, int]


def new_webhook_secret() -> str:
    """24 random bytes, as Standard Webhooks writes them (standardwebhooks.com, "Signature scheme")."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def read_values(path: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose_ports(kinds: tuple[str, ...], kept: Mapping[str, str], taken: int) -> dict[str, int]:
    """The port each simulator had before if it is still free, else any free one; never `taken`."""
    ports = {}
    used = {taken}
    for kind in kinds:
        port = urlsplit(kept.get(ADDRESS_OF[kind], "")).port or 0
        while port == 0 or port in used or not is_free(port):
            with socket.socket() as probe:
                probe.bind((HOST, 0))
                port = probe.getsockname()[1]
        ports[kind] = port
        used.add(port)
    return ports


def shows_mails(settings: Settings) -> bool:
    """Not where mail really leaves, and not where real people come: then a mail is nobody's on this machine to read."""
    return settings.mail_transport == SPOOL and urlsplit(settings.public_url).hostname in LOOPBACK_HOSTS


def choose_mail_port(taken: Collection[int]) -> int:
    """The first free one from 8025 on, so that it is the same at every start."""
    return next(port for port in range(MAIL_PORT, 65536) if port not in taken and is_free(port))


def new_secrets(policy: Policy, kinds: Collection[str]) -> dict[str, str]:
    """A fresh value for every secret that the policy's forms and the simulators need.

    Without its simulator a processor gets none: an invented key would be tried at the real one.
    """
    fresh = {"STRIPE_WEBHOOK_SECRETS": "whsec_" + secrets.token_urlsafe(24)}
    if "stripe" in kinds:
        fresh["STRIPE_API_KEY"] = "rk_test_" + secrets.token_hex(16)
    if "wordpress" in kinds:
        fresh["WORDPRESS_SECRET"] = new_webhook_secret()
    for key, form in policy.forms.items():
        signed = DIALECTS[form.dialect].scheme == STANDARD
        fresh[form_secrets_name(key)] = new_webhook_secret() if signed else secrets.token_urlsafe(30)
    return fresh


def addresses(ports: Mapping[str, int], port: int, data_dir: Path) -> dict[str, str]:
    """The settings that point the service at its own port and at the simulators."""
    values = {"PUBLIC_URL": f"http://{HOST}:{port}"}
    if ports:
        values["UNSAFE_ALLOW_LOOPBACK"] = "true"
    for kind, simulator_port in ports.items():
        values[ADDRESS_OF[kind]] = f"http://{HOST}:{simulator_port}"
    if "stripe" in ports:
        values["STRIPE_MODE"] = "any"
    if "google" in ports:
        values["GOOGLE_CREDENTIALS_FILE"] = str(data_dir / "simulators" / "service-account.json")
        values["GOOGLE_SUBJECT"] = "post@example.no"
    return values


def develop(
    policy: Policy, kinds: tuple[str, ...], configured: Mapping[str, str], port: int, data_dir: Path
) -> Development:
    """Complete development.env in `data_dir`. `kinds` are the simulators there are; `configured` is what the
    environment and .env say: a processor or a secret that is named there is left alone.
    """
    path = data_dir / FILE
    kept = read_values(path) if path.is_file() else {}
    kinds = tuple(kind for kind in kinds if not is_configured(CHOSEN_BY[kind], configured))
    ports = choose_ports(kinds, kept, port)
    values = {name: value for name, value in kept.items() if name not in (*RENEWED, *RENEWED_ALWAYS)}
    for name, value in new_secrets(policy, kinds).items():
        if not is_configured(name, configured):
            values.setdefault(name, value)
    values |= addresses(ports, port, data_dir)
    if configured.get("PUBLIC_URL"):
        values["PUBLIC_URL"] = configured["PUBLIC_URL"]
    write_values(path, values)
    return Development(values, ports)


def is_configured(name: str, configured: Mapping[str, str]) -> bool:
    return name in configured or f"{name}_FILE" in configured


def write_values(path: Path, values: Mapping[str, str]) -> None:
    """Write the file whole or not at all, readable by its owner only."""
    quoted = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in values.items()}
    text = HEADER + "".join(f"{name}='{value}'\n" for name, value in sorted(quoted.items()))
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
