"""The journal: one NDJSON line per request, written before the answer leaves."""

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """Appends whole lines with one write each, so that threads cannot mix them and nothing waits in a buffer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
        os.write(self._descriptor, line.encode())

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text().splitlines()]
