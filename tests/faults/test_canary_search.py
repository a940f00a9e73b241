"""The control of the canary tests: what is planted is found, or finding nothing would prove nothing."""

import base64
import json
import zlib
from collections.abc import Iterator
from urllib.parse import quote
from uuid import uuid4

import pytest
from redis import Redis

from schemas.settings import socket_path
from tests.faults.needles import Needle, needle, search
from tests.faults.oracle import change, database_of
from tests.faults.sinks import everything
from tests.stack import Stack


@pytest.fixture
def planted() -> Needle:
    return needle("planted", f"plantet-{uuid4().hex}@example.org")


def test_the_search_finds_what_is_planted(service: Stack, planted: Needle) -> None:
    """The control: without it, finding nothing would prove nothing."""
    value = next(form for form in planted.folded if b"@example.org" in form and form.startswith(b"plantet-")).decode()
    client = Redis(unix_socket_path=str(socket_path(service.data_dir)))
    plant = planting(service, client, value)
    for place in plant:
        found = search(everything(service), [planted])
        assert any(one.startswith(place) for one in found), f"{place}: {found}"
    client.close()


def planting(stack: Stack, client: Redis, value: str) -> Iterator[str]:
    """Plant, look, take away; gives the beginning of the place where it must be found."""
    raw = value.encode()
    for hidden in (
        raw,
        value.encode("utf-16"),
        raw.hex().encode(),
        zlib.compress(b"Traceback ... " + raw),
        base64.b64encode(zlib.compress(raw)),  # as RQ keeps the traceback of a job
        base64.b64encode(b"abcd" + raw + b"e"),
        quote(value, safe="").encode(),
    ):
        client.xadd("rq:results:x", {"exc_string": hidden})
        yield "valkey rq:results:x"
        client.delete("rq:results:x")
    client.set(f"rq:job:{value}", "x")
    yield f"valkey rq:job:{value}"
    client.delete(f"rq:job:{value}")
    yield "file valkey/appendonlydir"  # it was there, so the append-only file has it still
    path = database_of(stack)
    change(path, "INSERT INTO heartbeat VALUES (?, 0, ?)", ["x", json.dumps({"note": value.upper()})])
    yield "file samtykke.db"
    change(path, "DELETE FROM heartbeat WHERE process = 'x'")
    (stack.data_dir / "run" / "note").write_text(value)
    yield "file run/note"
    (stack.data_dir / "run" / "note").unlink()
    with stack.log_path.open("a") as log:
        log.write(f"record | Traceback: ValueError: {value}\n")
    yield "log"
