"""The simulated processors of `make run`: which there are, the Google key, and the groups that the policy names."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from console.launch.development import ADDRESS_OF, HOST, Development
from console.launch.errors import LaunchError
from console.launch.procfile import Process

CALL_WAIT_S = 10.0
CALL_INTERVAL_S = 0.2
SERVICE_ACCOUNT = "GOOGLE_CREDENTIALS_FILE"


def kinds_in(root: Path) -> tuple[str, ...]:
    """The simulators that this folder has: a deployment may come without tests/."""
    return tuple(kind for kind in ADDRESS_OF if (root / "tests" / "simulators" / f"{kind}.py").is_file())


def simulator_processes(development: Development, data_dir: Path) -> list[Process]:
    processes = []
    folder = data_dir / "simulators"
    for kind, port in development.ports.items():
        files = ("--journal", str(folder / f"{kind}.ndjson"), "--state", str(folder / f"{kind}.json"))
        argv = ["python", "-m", f"tests.simulators.{kind}", "--port", str(port), *files]
        environment = {}
        if kind == "google":
            argv += ["--service-account", development.values[SERVICE_ACCOUNT]]
        if kind == "wordpress":
            environment["SIMULATOR_WORDPRESS_SECRET"] = development.values["WORDPRESS_SECRET"]
        processes.append(Process(f"{kind}-simulator", "simulators", tuple(argv), environment))
    return processes


def make_service_account(root: Path, environment: Mapping[str, str], development: Development) -> None:
    """A key for the Google simulator; made anew only when the simulator's address has changed."""
    path = Path(development.values[SERVICE_ACCOUNT])
    token_uri = f"{development.values[ADDRESS_OF['google']]}/token"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("token_uri") == token_uri:
        return
    command = [sys.executable, "-m", "tests.simulators.google", "--make-service-account", str(path)]
    made = subprocess.run([*command, "--token-uri", token_uri], cwd=root, env=dict(environment), check=False)  # noqa: S603
    if made.returncode:
        raise LaunchError("service_account_failed", "The Google simulator could not make its key: see above.")


def seed_groups(port: int, addresses: Iterable[str]) -> None:
    """Give the Google simulator the groups that it lacks; members that it already has stay."""
    groups = _control(port, "GET", "state")["groups"]
    missing = [address for address in addresses if address not in groups]
    if missing:
        _control(port, "POST", "seed", {"groups": groups | {address: [] for address in missing}})


def _control(port: int, method: str, name: str, document: Any = None) -> Any:
    """Ask until it answers: it may still be starting."""
    waited_until_s = time.monotonic() + CALL_WAIT_S
    while True:
        connection = http.client.HTTPConnection(HOST, port, timeout=CALL_WAIT_S)
        try:
            connection.request(method, f"/_control/{name}", None if document is None else json.dumps(document))
            return json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            if time.monotonic() > waited_until_s:
                raise LaunchError("simulator_silent", "The Google simulator did not answer.") from None
            time.sleep(CALL_INTERVAL_S)
        finally:
            connection.close()
