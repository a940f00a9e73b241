"""One WordPress on loopback: built once into the cache, started in less than a second with a database of its own."""

import base64
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from standardwebhooks import Webhook

from tests.stack import free_port
from tests.wordpress.parts import CACHE, Parts, PartsMissingError, fetch, locked

PHP = Path(__file__).resolve().parent / "php"
LISTS, SHOP = str(PHP / "lists.php"), str(PHP / "shop.php")  # what TEST_LISTS and TEST_SHOP may name
PLUGIN = Path(__file__).resolve().parents[2] / "wordpress" / "samtykke.php"
SECRET = "whsec_" + base64.b64encode(b"of the tests of WordPress").decode()
ADMINISTRATOR = "admin"
READY_WAIT_S = 30.0
ANSWER_WAIT_S = 60.0
THEME = "<!doctype html><html><body><?php while (have_posts()) { the_post(); the_content(); } ?></body></html>"


class Site:
    """A running WordPress. `constants` are those of its wp-config.php, read anew by every request."""

    def __init__(self, folder: Path, parts: Parts | None = None) -> None:
        self.parts = parts or fetch()
        self.folder = folder
        self.html = _built(self.parts)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.application_password = (self.html.parent / "application-password").read_text(encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mu-plugins").mkdir()
        for plugin in (PLUGIN, *sorted(PHP.glob("[0-9]*.php"))):
            shutil.copy(plugin, folder / "mu-plugins")
        self.reset()

    def reset(self) -> None:
        """As it was on the first day: nobody but the administrator, nothing sent, nothing configured."""
        for left in (*self.folder.glob("wordpress.sqlite*"), self.folder / "mail.jsonl", self.folder / "debug.log"):
            left.unlink(missing_ok=True)
        shutil.copy(self.html.parent / "wordpress.sqlite", self.folder)
        self.configure({})

    def configure(self, constants: Mapping[str, object]) -> None:
        """What every test's site has, with these constants beside it or instead."""
        own = {"SAMTYKKE_SECRET": SECRET, "SAMTYKKE_URL": "http://127.0.0.1:9", "SAMTYKKE_FORMS": {}}
        written = {"url": self.url, "folder": str(self.folder), "constants": {**own, **constants}}
        fresh = self.folder / "site.json.new"
        fresh.write_text(json.dumps(written), encoding="utf-8")
        fresh.replace(self.folder / "site.json")

    def __enter__(self) -> "Site":
        command = [*self.parts.php, "-S", f"127.0.0.1:{self.port}", "-t", str(self.html), str(PHP / "router.php")]
        with (self.folder / "php.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self._environment(), stdout=log, stderr=log, start_new_session=True
            )
        until_s = time.monotonic() + READY_WAIT_S
        while time.monotonic() < until_s and self._process.poll() is None:
            try:
                if requests.get(f"{self.url}/wp-json/", timeout=ANSWER_WAIT_S).status_code == 200:
                    return self
            except requests.ConnectionError:
                time.sleep(0.05)
        self.__exit__()
        raise AssertionError((self.folder / "php.log").read_text(encoding="utf-8")[-2000:])

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            # `php -S` starts workers of its own; they are in its process group and nobody else is.
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(ANSWER_WAIT_S)
            self._process = None

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {
            **inherited,
            **self.parts.environment,
            "TEST_SITE": str(self.folder / "site.json"),
            "PHP_CLI_SERVER_WORKERS": "4",
        }

    # What the service does.

    def post(self, route: str, raw: bytes, headers: Mapping[str, str]) -> requests.Response:
        sent = {"Content-Type": "application/json", **headers}
        url = f"{self.url}/wp-json/samtykke/v1/{route}"
        return requests.post(url, data=raw, headers=sent, timeout=ANSWER_WAIT_S, allow_redirects=False)

    def call(self, route: str, **members: object) -> requests.Response:
        """A signed call, with a new webhook-id."""
        raw = json.dumps({"route": f"samtykke/v1/{route}", **members})
        return self.post(route, raw.encode(), signed(raw))

    def ask(self, route: str, **members: object) -> Any:
        """The answer to a signed call that is done."""
        answer = self.call(route, **members)
        assert answer.status_code == 200, answer.text
        return answer.json()

    # What happens on the site.

    def run(self, code: str) -> Any:
        """What this PHP returns inside WordPress."""
        login = (ADMINISTRATOR, self.application_password)
        url = f"{self.url}/wp-json/test/v1/evaluate"
        answer = requests.post(url, json={"code": code}, auth=login, timeout=ANSWER_WAIT_S)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def fire(self, plugin: str, **given: object) -> None:
        """A form plugin's own hook, as it fires when a visitor has sent a form."""
        answer = requests.post(f"{self.url}/wp-json/test/v1/hooks/{plugin}", json=given, timeout=ANSWER_WAIT_S)
        assert answer.status_code == 200, answer.text

    def run_cron(self) -> None:
        """What the host's cron does every minute."""
        assert requests.get(f"{self.url}/wp-cron.php?doing_wp_cron", timeout=ANSWER_WAIT_S).status_code == 200

    def mails(self) -> list[dict[str, Any]]:
        path = self.folder / "mail.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def complaints(self) -> str:
        """What PHP had to complain about, under WP_DEBUG."""
        path = self.folder / "debug.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""


def signed(raw: str, message_id: str | None = None, at_s: int | None = None, secret: str = SECRET) -> dict[str, str]:
    """The three headers, by the library of Standard Webhooks."""
    message_id = message_id or f"msg_{secrets.token_hex(16)}"
    moment = datetime.fromtimestamp(int(time.time()) if at_s is None else at_s, UTC)
    signature = Webhook(secret).sign(message_id, moment, raw)
    stamp = str(int(moment.timestamp()))
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signature}


def _built(parts: Parts) -> Path:
    """The folder that is served, and beside it the database of a fresh site; built once."""
    key = hashlib.sha256(b"".join((PHP / name).read_bytes() for name in ("install.php", "wp-config.php")))
    key.update((parts.wordpress / "wp-includes/version.php").read_bytes())
    folder = CACHE / f"site-{key.hexdigest()[:12]}"
    with locked():
        if not (folder / "application-password").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _build(parts, folder)
    return folder / "html"


def _build(parts: Parts, folder: Path) -> None:
    html = folder / "html"
    shutil.copytree(parts.wordpress, html, symlinks=True, ignore=shutil.ignore_patterns("wp-content", "wp-config.php"))
    for link in [path for path in html.rglob("*") if path.is_symlink() and not path.exists()]:
        link.unlink()  # into packages of Debian that are not unpacked
    shutil.copytree(parts.wordpress.parent / "php/getid3", html / "wp-includes/ID3", dirs_exist_ok=True)
    for name in ("plugins", "uploads", "themes/twentytwentyfive"):
        (html / "wp-content" / name).mkdir(parents=True)
    (html / "wp-content/themes/twentytwentyfive/style.css").write_text("/*\nTheme Name: Plain\n*/\n", encoding="utf-8")
    (html / "wp-content/themes/twentytwentyfive/index.php").write_text(THEME, encoding="utf-8")
    drop_in = (parts.drop_in / "db.copy").read_text(encoding="utf-8")
    drop_in = drop_in.replace("{SQLITE_IMPLEMENTATION_FOLDER_PATH}", str(parts.drop_in))
    (html / "wp-content/db.php").write_text(drop_in.replace("{SQLITE_PLUGIN}", "none/load.php"), encoding="utf-8")
    shutil.copy(PHP / "wp-config.php", html)
    site = {"url": "http://127.0.0.1", "folder": str(folder), "constants": {}}
    (folder / "site.json").write_text(json.dumps(site), encoding="utf-8")
    done = subprocess.run(
        [*parts.php, str(PHP / "install.php"), str(html)],
        env={**os.environ, **parts.environment, "TEST_SITE": str(folder / "site.json")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or " " not in done.stdout.strip() and len(done.stdout.strip()) != 24:
        raise PartsMissingError(f"WordPress was not installed: {done.stdout[-300:]} {done.stderr[-300:]}")
    (folder / "application-password").write_text(done.stdout.strip(), encoding="utf-8")
