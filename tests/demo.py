"""`make demo`: one person's story through the whole service, with real processes and simulated processors.

It runs in a temporary folder and leaves nothing behind. Every line that it shows was asked of the running service.
"""

import email
import email.policy
import json
import re
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.request
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import click

from ledger.sqlite import sqlite
from tests.stack import ROOT, Stack
from tests.world import checkout_event, stripe_header

PERSON = "kari@example.no"
WAIT_S = 30.0
PROCESSORS = ("wordpress", "stripe", "google")


class Story:
    """Tells each step in one sentence, does it, and shows what the service answered."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.step = 0

    def tell(self, sentence: str) -> None:
        self.step += 1
        click.echo()
        click.secho(textwrap.fill(f"{self.step}. {sentence}", 96), bold=True)

    def show(self, text: str) -> None:
        click.echo(textwrap.indent(text.rstrip(), "   "))

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        request = urllib.request.Request(f"{self.stack.url}{path}", data=body, headers=dict(headers))
        with urllib.request.urlopen(request, timeout=10) as response:
            shown = re.sub("/([cw])/.*", r"/\1/…", path)
            self.show(f"POST {shown} -> {response.status}")

    def command(self, *arguments: str) -> str:
        done = self.stack.cli(*arguments)
        self.show(f"$ flask {' '.join(arguments)}")
        output = done.stdout.replace("Reading\n", "")
        self.show(output)
        return output

    def wait(self, what: str, condition: Any) -> None:
        until_s = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > until_s:
                raise SystemExit(f"the demo waited {WAIT_S:.0f} s for {what}")
            time.sleep(0.2)

    def mails(self) -> list[EmailMessage]:
        paths = sorted((self.stack.data_dir / "mail").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]

    def link(self, kind: str) -> str:
        part = self.mails()[-1].get_body(("plain",))
        found = re.search(rf"/{kind}/\S+", str(part.get_content()) if part else "")
        assert found, f"the mail holds no /{kind}/ link"
        return found.group(0)

    def ask(self, kind: str, path: str, document: Any = None) -> Any:
        """A simulator's control route: seed it, or read what it has done."""
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.stack.simulator(kind) + path, data=data)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())


def sign_up(story: Story) -> None:
    story.tell("Kari signs up for the newsletter on the website. The form's webhook is signed; it is answered at once.")
    body = json.dumps({"email": PERSON, "first_name": "Kari", "newsletter": "yes", "offers": "no"}).encode()
    headers = {**story.stack.form_headers("newsletter", body), "Content-Type": "application/json"}
    story.post("/webhooks/forms/newsletter", body, headers)
    story.wait("the confirmation mail", story.mails)
    story.command("consents", "check", "--email", PERSON, "--purpose", "newsletter")
    story.tell("Anybody can type her address, so she is asked by mail. She presses the button: now it is given.")
    story.show(f"Subject: {story.mails()[-1]['Subject']}")
    story.post(story.link("c"), b"confirm=1", {"Content-Type": "application/x-www-form-urlencoded"})
    story.wait("the receipt", lambda: len(story.mails()) == 2)
    story.command("consents", "check", "--email", PERSON, "--purpose", "newsletter")


def buy(story: Story) -> None:
    story.tell("She buys something. Stripe's event is recorded as a purchase: that is a contract, never a consent.")
    raw = json.dumps(checkout_event("evt_demo_1", PERSON, session={"custom_fields": []}))
    secret = story.stack.setting("STRIPE_WEBHOOK_SECRETS")
    headers = {"Stripe-Signature": stripe_header(raw, int(time.time()), secret), "Content-Type": "application/json"}
    story.post("/webhooks/stripe", raw.encode(), headers)


def withdraw(story: Story) -> None:
    story.tell("By now her address lies in WordPress, Stripe and a Google group.")
    story.ask("wordpress", "/_control/seed", {"subscribers": [{"email": PERSON, "purposes": ["newsletter"]}]})
    story.ask("stripe", "/_control/seed", {"customers": [{"email": PERSON, "name": "Kari Nordmann"}]})
    groups = story.ask("google", "/_control/state")["groups"]
    story.ask("google", "/_control/seed", {"groups": {group: [PERSON] for group in groups}})
    story.tell("She withdraws with the one click that her mail program offers (RFC 8058). It counts from this moment.")
    link = story.link("w")
    story.post(link, b"List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"})
    story.command("consents", "check", "--email", PERSON, "--purpose", "newsletter")
    story.tell("The withdrawal is carried to all three systems, read back there, and each answer becomes an entry.")
    story.wait("three confirmed relays", lambda: confirmed(story) == len(PROCESSORS))
    story.command("relays", "list", "--status", "confirmed")


def confirmed(story: Story) -> int:
    listed = story.stack.cli("relays", "list", "--status", "confirmed", "--json").stdout
    return sum(row["processor"] in PROCESSORS and row["action"] == "withdraw" for row in json.loads(listed))


def prove(story: Story) -> None:
    story.tell("Her receipt is hers to keep. It proves what was recorded, with no database and no trust in us.")
    story.wait("the withdrawal's receipt", lambda: len(story.mails()) == 3)
    attachment = next(story.mails()[-1].iter_attachments())
    content = attachment.get_content()
    file = story.stack.data_dir / "receipt.json"
    file.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    story.command("receipts", "verify", str(file))
    story.tell("The ledger verifies.")
    story.command("ledger", "verify")


def erase(story: Story) -> None:
    story.tell("She asks to be erased. Her boxes, her key and every way to find her go in one transaction.")
    story.command("subjects", "erase", "--email", PERSON, "--yes")
    story.command("consents", "check", "--email", PERSON, "--purpose", "newsletter")
    story.tell("Her receipt still verifies. And a stranger checks the whole ledger, with one file and a public key.")
    story.command("receipts", "verify", str(story.stack.data_dir / "receipt.json"))
    story.wait("a checkpoint of it", lambda: signed(story))
    folder = story.stack.data_dir / "export"
    story.stack.cli("ledger", "export", str(folder))
    keys = json.loads(story.stack.cli("keys", "public", "--json").stdout)
    (vkey,) = [row["vkey"] for row in keys if row["key"] == "checkpoint"]
    verifier = [sys.executable, "-I", str(ROOT / "verify_ledger.py"), "export", str(folder), "--key", vkey]
    story.show("$ python verify_ledger.py export …/export --key …")
    story.show(subprocess.run(verifier, capture_output=True, text=True, check=True).stdout)


def signed(story: Story) -> bool:
    checkpoint = json.loads(story.stack.cli("ledger", "checkpoint", "--json").stdout)
    return bool(checkpoint["size"] == json.loads(story.stack.cli("ledger", "verify", "--json").stdout)["entries"])


def tamper(story: Story) -> None:
    story.tell("Somebody with access to the database file changes one letter of one entry. The ledger names it.")
    database = sqlite.connect(story.stack.data_dir / "samtykke.db")
    with database:
        (position,) = database.execute(
            "SELECT min(position) FROM ledger_entry WHERE kind = 'consent.withdrawn'"
        ).fetchone()
        database.execute("DROP TRIGGER ledger_entry_no_update")
        database.execute(
            "UPDATE ledger_entry SET leaf = CAST(replace(CAST(leaf AS TEXT), 'one_click', 'two_click') AS BLOB) "
            "WHERE position = ?",
            [position],
        )
    database.close()
    story.show(f"(entry {position}: one_click -> two_click)")
    story.command("ledger", "verify")


def main() -> None:
    started_s = time.monotonic()
    click.secho("Samtykke: one person's story. It starts the service; that takes some seconds.", bold=True)
    with tempfile.TemporaryDirectory(prefix="samtykke-demo-") as folder, Stack(Path(folder)) as stack:
        story = Story(stack)
        for part in (sign_up, buy, withdraw, prove, erase, tamper):
            part(story)
        click.echo()
        click.secho(
            f"That was {story.step} steps in {time.monotonic() - started_s:.0f} s. Now try `make run`.", bold=True
        )


if __name__ == "__main__":
    main()
