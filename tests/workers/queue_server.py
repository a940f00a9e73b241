"""A Valkey of the tests' own: started as the launcher starts it, looked into, and planted by a stranger."""

import json
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis, RedisError
from rq.serializers import JSONSerializer

from console.launch.procfile import valkey_process
from workers.queue import RECORD, AllowlistedJob

TIME = "2026-11-23T00:00:00.000000Z"
Server = tuple[str, "subprocess.Popen[bytes]"]


@contextmanager
def serving_valkey() -> Iterator[Server]:
    """(url, process). In a folder with a short name, because the path of a socket must be short."""
    with tempfile.TemporaryDirectory(prefix="samtykke-queue-") as folder:
        (Path(folder) / "valkey").mkdir()
        path = Path(folder) / "valkey.sock"
        server = subprocess.Popen(valkey_process(Path(folder), path).argv, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: answers(path))
            yield f"unix://{path}", server
        finally:
            server.terminate()
            server.wait()


def answers(path: Path) -> bool:
    """The socket is there before anybody listens on it."""
    with Redis(unix_socket_path=str(path)) as connection:
        try:
            return bool(connection.ping())
        except RedisError:
            return False


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):  # a minute: other tests may have the machine
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


def plant(redis: Redis, data: bytes, **fields: Any) -> str:
    """A job that somebody who can write to Redis puts there, past our own code."""
    common: dict[Any, Any] = {"created_at": TIME, "origin": RECORD, "status": "queued", "timeout": "60"}
    redis.hset("rq:job:planted", mapping=common | {"data": zlib.compress(data)} | fields)
    redis.rpush("rq:queue:record", "planted")
    return "planted"


def call(function: str, *arguments: object, **keywords: object) -> bytes:
    """The call as RQ stores it: function, instance, arguments, keywords."""
    return json.dumps([function, None, arguments, keywords]).encode()


def end_of(redis: Redis, job_id: str) -> tuple[str, str]:
    """(status, traceback) of a job that has run."""
    job = AllowlistedJob.fetch(job_id, connection=redis, serializer=JSONSerializer)
    result = job.latest_result()
    return job.get_status().value, str(result.exc_string if result else "")


def everything_in(redis: Redis) -> bytes:
    """Every key and every value, whatever its type, and unpacked where RQ packs it."""
    read: dict[Any, Callable[[bytes], object]] = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        b"stream": redis.xrange,
    }
    told = b""
    for key in redis.scan_iter():
        value = read[redis.type(key)](key)
        told += key + repr(value).encode()
        if isinstance(value, dict) and b"data" in value:
            told += zlib.decompress(value[b"data"])
    return told
