"""A simulator as a process of its own, for tests: start it, arrange it, look at it, stop it."""

import base64
import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.simulators.google_tokens import make_service_account

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
START_TIME_MAX_S = 30.0
STOP_TIME_MAX_S = 10.0
CALL_TIME_MAX_S = 10.0
POLL_INTERVAL_S = 0.01
Kind = Literal["wordpress", "stripe", "google"]


class SimulatorError(RuntimeError):
    """The simulator did not start, or refused what the test asked of it."""


class SimulatorProcess:
    """`with SimulatorProcess("stripe", tmp_path) as stripe: ... stripe.url ...`

    Options become command line options: `SimulatorProcess("google", path, service_account=file)`. WordPress'
    `secret` (made up if not given) goes through the environment; `service_account` is made if not given, with
    this process as its token endpoint. After `stop()`, `start()` takes the same port and the same state, so an
    outage is `stop(); ...; start()`; with `state=None` it starts empty. `contract` switches on Google's check; Stripe's
    is always on.
    """

    def __init__(self, kind: Kind, directory: Path, contract: bool = True, **options: str | int | Path | None) -> None:
        self.kind = kind
        self.port = 0
        self.secret = ""
        self.service_account_path = directory / "service-account.json"
        self.journal_path = directory / f"{kind}.journal.ndjson"
        self._directory = directory
        self._options = dict(options)
        self._flags = ["--contract"] if contract and kind == "google" else []
        self._process: subprocess.Popen[bytes] | None = None
        if kind == "wordpress":
            made_up = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
            self.secret = str(self._options.pop("secret", made_up))
        if kind == "google":
            self._prepare_google()

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Raises SimulatorError when it ends, or says nothing, before it has a port."""
        port_path = self._directory / f"{self.kind}.port"
        port_path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            self._command(port_path),
            cwd=ROOT,
            env={**os.environ, "SIMULATOR_WORDPRESS_SECRET": self.secret},
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_TIME_MAX_S
        while not port_path.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SimulatorError(f"the {self.kind} simulator did not start")
            time.sleep(POLL_INTERVAL_S)
        self.port = int(port_path.read_text())
        if self.kind == "google" and "service_account" not in self._options:
            self._point_service_account_here()

    def stop(self) -> int | None:
        """Ask it to leave, wait, and give its exit status; None if it was not running."""
        if self._process is None:
            return None
        self._process.terminate()
        try:
            status = self._process.wait(STOP_TIME_MAX_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process = None
        return status

    def seed(self, document: dict[str, Any]) -> dict[str, Any]:
        """Replace the named parts of the state; answers the whole state."""
        return dict(self._control("POST", "seed", document))

    def faults(self, planned: Sequence[dict[str, Any]]) -> None:
        """Add to the fault plan; the fields are those of `tests.simulators.faults.Fault`."""
        self._control("POST", "faults", {"faults": list(planned)})

    def clear(self) -> None:
        """Forget every fault and let go of the requests that hang."""
        self._control("POST", "clear", {})

    def state(self) -> dict[str, Any]:
        return dict(self._control("GET", "state"))

    def journal(self) -> list[dict[str, Any]]:
        return list(self._control("GET", "journal"))

    def violations(self) -> list[str]:
        """Every broken rule so far; a test of a relay ends by asserting that there is none."""
        return [entry["violation"] for entry in self.journal() if entry["violation"] is not None]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self, port_path: Path) -> list[str]:
        options = {
            "port": self.port,
            "port_file": port_path,
            "journal": self.journal_path,
            "state": self._directory / f"{self.kind}.state.json",
            **self._options,
        }
        named = [
            part
            for name, value in options.items()
            if value is not None
            for part in (f"--{name.replace('_', '-')}", str(value))
        ]
        return [sys.executable, "-m", f"tests.simulators.{self.kind}", *named, *self._flags]

    def _prepare_google(self) -> None:
        if "service_account" in self._options:
            self.service_account_path = Path(str(self._options["service_account"]))
        else:
            make_service_account(self.service_account_path, f"http://{HOST}:9/token")
            self._flags += ["--service-account", str(self.service_account_path)]

    def _point_service_account_here(self) -> None:
        document = json.loads(self.service_account_path.read_text())
        self.service_account_path.write_text(json.dumps({**document, "token_uri": f"{self.url}/token"}, indent=2))

    def _control(self, method: str, name: str, document: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=CALL_TIME_MAX_S)
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, f"/_control/{name}", body)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise SimulatorError(f"{name}: {answer['message']}")
        return answer
