"""The mail catcher of `make run`: a page of the mails that would have left, read from the spool folder.

For development only. It listens on this machine alone, answers no page of another origin, and does not start outside
`make run`, where mail is really sent, or where the service is one that people reach.
"""

import email
import email.policy
import os
import re
import signal
import sys
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import click
from flask import Flask, Response, abort, render_template, request, send_file
from werkzeug.serving import WSGIRequestHandler, make_server

from console.launch.child import RUN_DIR
from console.launch.development import HOST, shows_mails
from console.launch.errors import LaunchError
from schemas.settings import Settings, SettingsError, load_settings

NEWEST = 100
NAME = re.compile(r"[0-9a-z-]+\.eml")
# A page of another site can make its own name mean 127.0.0.1; then the browser says that name (DNS rebinding).
NAMES = frozenset({HOST, "localhost"})
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class CaughtMail:
    """One file of the spool folder. `attachments`: their file names, in order."""

    name: str
    subject: str
    recipient: str
    date: str
    attachments: tuple[str, ...]

    @classmethod
    def of(cls, name: str, mail: EmailMessage) -> "CaughtMail":
        names = tuple(part.get_filename() or "attachment" for part in mail.iter_attachments())
        return cls(name, str(mail["Subject"]), str(mail["To"]), str(mail["Date"]), names)


def create_catcher(settings: Settings, root: Path) -> Flask:
    """`root`: the project's folder, for the stylesheet of the person's pages."""
    app = Flask("console.launch", static_folder=None)
    spool, public_url = settings.mail_spool_dir, settings.public_url
    link = re.compile(rf"({re.escape(public_url)}/[A-Za-z0-9/_.~-]+)")

    @app.before_request
    def refuse_other_origins() -> None:
        if urlsplit(f"//{request.host}").hostname not in NAMES:
            abort(421)

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    @app.get("/")
    def mails() -> str:
        return render_template("mails.html", mails=[CaughtMail.of(path.name, _read(path)) for path in _newest(spool)])

    @app.get("/samtykke.css")
    def stylesheet() -> Response:
        return send_file(root / "webhooks" / "static" / "samtykke.css", mimetype="text/css")

    @app.get("/<name>")
    def one_mail(name: str) -> str:
        mail = _find(spool, name)
        body = mail.get_body(("plain",))
        blocks = re.split(r"\n\s*\n", "" if body is None else str(body.get_content()).strip())
        paragraphs = [[link.split(line) for line in block.splitlines()] for block in blocks]
        values = {"paragraphs": paragraphs, "public_url": f"{public_url}/"}
        return render_template("mails.html", mail=CaughtMail.of(name, mail), **values)

    @app.get("/<name>/<int:number>")
    def attachment(name: str, number: int) -> Response:
        found = list(_find(spool, name).iter_attachments())
        if number >= len(found):
            abort(404)
        content = found[number].get_payload(decode=True)
        response = Response(content if isinstance(content, bytes) else b"", mimetype="application/octet-stream")
        response.headers.set("Content-Disposition", "attachment", filename=found[number].get_filename() or "attachment")
        return response

    return app


def _newest(spool: Path) -> list[Path]:
    return sorted(spool.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns, reverse=True)[:NEWEST]


def _find(spool: Path, name: str) -> EmailMessage:
    if not NAME.fullmatch(name) or not (spool / name).is_file():
        abort(404)
    return _read(spool / name)


def _read(path: Path) -> EmailMessage:
    return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)


class _Quiet(WSGIRequestHandler):
    """`make run` shows what the service says; this is only a window."""

    def log(self, type: str, message: str, *args: object) -> None:
        return


def check_allowed(settings: Settings) -> None:
    """LaunchError: this is no place for it."""
    if RUN_DIR not in os.environ:
        raise LaunchError("not_development", "The mail catcher belongs to `make run`.")
    if not shows_mails(settings):
        message = "Mail is sent, or PUBLIC_URL is not this machine: the mails are nobody's here to read."
        raise LaunchError("not_development", message)


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    """Show the spooled mails at 127.0.0.1."""
    root = Path.cwd()
    try:
        settings = load_settings(root)
        check_allowed(settings)
    except (LaunchError, SettingsError) as error:
        click.echo(f"samtykke: {error}", err=True)
        sys.exit(1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    make_server(HOST, port, create_catcher(settings, root), threaded=True, request_handler=_Quiet).serve_forever()


if __name__ == "__main__":
    main()
