"""Real witnesses for tests: made by the command, served on loopback by the application that gunicorn serves."""

import shutil
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from flask import Flask, request
from werkzeug.serving import make_server

from console.witness import FolderStore, create_witness, load_signer
from ledger.cosignature import CosignatureVerifier
from ledger.keyring import SIGNER_STATE
from ledger.sqlite import sqlite
from tests.ledger.desk import NOW_MS
from tests.world import ORIGIN, World

NAME = "witness.example.org/w1"


@dataclass
class Served:
    """A witness and its address; `asked` counts the requests, `answers` are said first, and not by it."""

    folder: Path
    url: str = ""
    asked: int = 0
    answers: list[tuple[str, int]] = field(default_factory=list)

    @property
    def verifier(self) -> CosignatureVerifier:
        return load_signer(self.folder).verifier()

    @property
    def size(self) -> int:
        """What it cosigned last."""
        return FolderStore(self.folder).head(ORIGIN).size

    def setting(self) -> tuple[str, str]:
        return self.verifier.vkey(), self.url


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def witnessing(world: World, name: str = NAME) -> Iterator[Served]:
    """A witness of this world's ledger, which the world's settings name as one more."""
    served = Served(world.settings.data_dir / name.replace("/", "-"))
    made = world.command("witness", "init", str(served.folder), "--name", name, "--log", world.signer.vkey)
    assert made.exit_code == 0, made.output
    app = create_witness(str(served.folder), clock=lambda: NOW_MS)

    @app.before_request
    def watch() -> tuple[str, int] | None:
        assert request.path == "/add-checkpoint"
        served.asked += 1
        return served.answers.pop(0) if served.answers else None

    with serving(app) as served.url:
        world.settings = replace(world.settings, witnesses=(*world.settings.witnesses, served.setting()))
        yield served


class Backup:
    """The database and the signer's memory as they are now: the backup of a whole machine."""

    def __init__(self, world: World) -> None:
        self._live = str(world.database.url.database)
        self._state = world.settings.keys_dir / SIGNER_STATE
        self._kept = world.settings.data_dir / "kept"
        self._kept.mkdir()
        self._copy(self._live, str(self._kept / "database"))
        shutil.copy(self._state, self._kept / SIGNER_STATE)

    def restore(self) -> None:
        self._copy(str(self._kept / "database"), self._live)
        shutil.copy(self._kept / SIGNER_STATE, self._state)

    def _copy(self, source: str, target: str) -> None:
        with closing(sqlite.connect(source)) as read, closing(sqlite.connect(target)) as written:
            read.backup(written)


@dataclass(frozen=True)
class Mute:
    """A server that takes connections and never says anything."""

    url: str
    is_asked: threading.Event


@contextmanager
def silent() -> Iterator[Mute]:
    is_asked, ends = threading.Event(), threading.Event()

    class Silence(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            is_asked.set()
            ends.wait()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silence) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Mute(f"http://127.0.0.1:{server.server_address[1]}", is_asked)
        finally:
            ends.set()
            server.shutdown()
            thread.join()
