"""An installation whose processes can be killed at a named point or at a random moment, without a launcher."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.stack import ROOT
from tests.world import World, settings_for, signed_headers


@dataclass(frozen=True, slots=True)
class Death:
    """How a deed ended: by which signal (0: by itself), with which exit code, and what it said before."""

    signal: int
    exit: int
    said: tuple[str, ...]


class Mortal:
    """`world` is the same installation in this process, to arrange things and to look at them."""

    def __init__(self, world: World, process: "subprocess.Popen[str]") -> None:
        self.world = world
        self.database = world.settings.data_dir / "samtykke.db"
        self._process = process

    def do(self, deed: str, **order: Any) -> Death:
        """One deed in a process of its own: `point` and `number`, or `after_s`, say when it is killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"deed": deed, **order}) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        return Death(told["signal"], told["exit"], tuple(told["said"]))

    def deliver(self, message_id: str, fields: Mapping[str, str], deed: str = "deliver", **order: Any) -> Death:
        """One attempt of a sender; it has read 200 if the death's `said` has it."""
        body = json.dumps(fields)
        headers = {"Content-Type": "application/json", **signed_headers(body, message_id, self._now_s())}
        form = order.pop("form", "newsletter")
        return self.do(deed, path=f"/webhooks/forms/{form}", body=body, headers=headers, **order)

    def _now_s(self) -> int:
        return self.world.client.application.extensions["door"].clock() // 1000  # type: ignore[no-any-return]


@contextmanager
def mortal(directory: Path, **changes: Any) -> Iterator[Mortal]:
    """`changes` are settings, such as the address of a simulator."""
    world = World(replace(settings_for(directory), **changes))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.victim", str(directory), json.dumps(changes)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Mortal(world, process)
    finally:
        process.communicate()
        world.close()
