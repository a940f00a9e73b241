"""gunicorn's settings: threads in front of short transactions, and a log that never shows what was sent.

A request line, a header or an exception's text can hold an address or a token, so none of them is written: each
event of the server has a fixed name here, and what has no name is not described. Every setting is explained in
gunicorn's own reference (gunicorn.org, "Settings").
"""

import ctypes
import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

from schemas.log_line import configure_logging, error_fields, log
from schemas.settings import load_settings
from webhooks.arrival import FIELD_SIZE_MAX_BYTES, LINE_SIZE_MAX_BYTES

_settings = load_settings()

# `make run` narrows this to 127.0.0.1 with GUNICORN_CMD_ARGS, gunicorn's own way to overrule this file.
bind = f"0.0.0.0:{_settings.port}"
proc_name = "samtykke"
worker_class = "webhooks.serving.DoorWorker"  # gthread, behind a loop that takes in whole requests
workers = _settings.web_concurrency
threads = _settings.web_threads
timeout = 30
graceful_timeout = 25  # below the 30 s that platforms leave between SIGTERM and SIGKILL
keepalive = 75
# A worker is replaced now and then, so that what leaks in it cannot grow for ever; the jitter keeps them apart. An
# only worker is not: every sender would wait while the next one starts.
max_requests = 20_000 if workers > 1 else 0
max_requests_jitter = 2_000
worker_connections = 512  # of one process: the slowest has to go when there are more, docs/decisions/0003-the-door.md
limit_request_line = LINE_SIZE_MAX_BYTES
limit_request_fields = 64
limit_request_field_size = FIELD_SIZE_MAX_BYTES
# No header says who asks, or where: SCRIPT_NAME would let a path past a proxy that closes it (gunicorn believes it from
# 127.0.0.1), and nobody here asks for the scheme.
forwarder_headers = ""
secure_scheme_headers = {}
control_socket_disable = True
accesslog = None
if Path("/dev/shm").is_dir():  # noqa: S108 - the heartbeat must not wait for a disk
    worker_tmp_dir = "/dev/shm"  # noqa: S108

PR_SET_PDEATHSIG = 1  # prctl(2)
METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"
_own_metrics_dir: str | None = None
if workers > 1 and METRICS_DIR not in os.environ:
    _own_metrics_dir = os.environ[METRICS_DIR] = tempfile.mkdtemp(prefix="samtykke-metrics-")

# How gunicorn's message begins -> the name of the event (gunicorn's arbiter.py, sock.py, workers/base.py, gthread.py).
EVENTS = {
    "Starting gunicorn": "server_starting",
    "Listening at": "server_listening",
    "Booting worker": "worker_starting",
    "Worker exiting": "worker_exiting",
    "Autorestarting worker": "worker_recycled",
    "Handling signal": "signal_received",
    "Shutting down": "server_stopping",
    "WORKER TIMEOUT": "worker_timed_out",
    "Worker (pid:%s) was sent": "worker_signalled",
    "Worker (pid:%s) exited": "worker_failed",
    "Exception in worker process": "worker_crashed",
    "Parent changed": "worker_orphaned",
    "Connection in use": "address_in_use",
    "Invalid address": "address_invalid",
    "Can't connect": "address_unusable",
    "connection to": "address_unusable",
    "Invalid request": "request_invalid",
    "Error handling request": "request_failed",
    "Socket error": "request_failed",
}
WITH_PID = ("worker_starting", "worker_timed_out", "worker_signalled", "worker_failed")
INVALID_INTERVAL_S = 60.0


class EventLogger(Logger):  # type: ignore[misc]
    """Writes one line of JSON per event: its name and level, and at most a pid, a count, an error's type and place."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        configure_logging(_settings.log_level)
        self.error_log.handlers = [logging.NullHandler()]
        self._invalid_count = 0
        self._invalid_written_s = -INVALID_INTERVAL_S
        self._invalid_lock = threading.Lock()

    def critical(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._write("critical", msg, args)

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._write("error", msg, args)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._write("warning", msg, args)

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._write("info", msg, args)

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """gunicorn's debug messages quote requests and settings."""

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        error = sys.exc_info()[1]
        self._write("error", msg, (), error_fields(error) if error else {})

    def log(self, lvl: Any, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._write("info", msg, args)

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """No access log: who asked, and for what, is personal data."""

    def _write(self, level: str, msg: Any, args: tuple[Any, ...], told: dict[str, str] | None = None) -> None:
        name = next((name for beginning, name in EVENTS.items() if str(msg).startswith(beginning)), None)
        if name is None and level == "info":
            return
        fields: dict[str, Any] = dict(told or {})
        if name in WITH_PID and args and isinstance(args[0], int):
            fields["pid"] = args[0]
        if name == "request_invalid":
            with self._invalid_lock:
                self._invalid_count += 1
                fields["count"] = self._invalid_count
                if time.monotonic() - self._invalid_written_s < INVALID_INTERVAL_S:
                    return
                self._invalid_written_s = time.monotonic()
        getattr(log, level)(name or "server_event", **fields)


logger_class = EventLogger


def post_fork(server: Any, worker: Any) -> None:
    """A worker ends with its master, even a killed one: left alone it would hold the port for a second or more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def post_worker_init(worker: Any) -> None:
    """What is loaded by now stays: to search it for garbage, with the rest, could hold every request for 100 ms."""
    gc.collect()
    gc.freeze()


def child_exit(server: Any, worker: Any) -> None:
    """A dead worker's gauges must not be counted (prometheus_client, "Multiprocess Mode")."""
    if METRICS_DIR in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    if _own_metrics_dir:
        shutil.rmtree(_own_metrics_dir, ignore_errors=True)
