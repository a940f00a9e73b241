"""What the clock logs as errors, for a test to compare."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from workers import guarded


@contextmanager
def errors() -> Iterator[list[Any]]:
    """Filled at the end of the block, without the level."""
    found: list[Any] = []
    with capture_logs() as lines, pytest.MonkeyPatch.context() as patch:
        patch.setattr(guarded, "log", structlog.get_logger())  # the old one keeps to what was configured at first
        yield found
    found += [{**line} for line in lines if line.pop("log_level") == "error"]
