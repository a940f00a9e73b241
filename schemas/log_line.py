"""The shape of a log line: one JSON object of a fixed event name and allow-listed keys, never a value from outside."""

import datetime
import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

# Whoever needs another key adds it here, and thereby says that it never holds anything about a person.
ALLOWED_KEYS = frozenset(
    {"action", "attempts", "count", "duration_ms", "entries", "error", "inbox_id", "location", "method", "outcome"}
    | {"pid", "process", "processor", "queue", "reason", "relay", "route", "rows", "size", "source", "status"}
    | {"suppressed", "version"}
)
FRAMES_MAX = 3


def _only_allowed(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    kept = {key: value for key, value in event.items() if key in ALLOWED_KEYS}
    return {"at": event["timestamp"], "level": event["level"], "event": event["event"], **kept}


class _ForeignFormatter(logging.Formatter):
    """Lines of libraries: their logger, level and the shape of the message, but never its arguments."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat().replace("+00:00", "Z")
        line = {"at": at, "level": record.levelname.lower(), "event": "library"}
        line["source"] = record.name
        if record.exc_info and record.exc_info[1] is not None:
            line |= error_fields(record.exc_info[1])
        return json.dumps(line)


def error_fields(error: BaseException) -> dict[str, str]:
    """What may be told about an exception: its type and where it was raised. Its text may hold a person."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    location = " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames))
    return {"error": type(error).__name__, "location": location}


def configure_logging(level: str) -> None:
    """Everything goes to stdout, as the platform expects (https://12factor.net/logs)."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_allowed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_ForeignFormatter())
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, getattr(logging, level)), force=True)


log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
