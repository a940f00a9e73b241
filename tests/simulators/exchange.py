"""The words every simulator speaks: a request as it came, a reply as it will go, and what a vendor must do."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; the path is kept as sent, header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's parts, decoded one by one, so that an escaped slash stays inside its part."""
        return tuple(unquote(part) for part in self.path.split("/")[1:])

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query, in order, blank values kept."""
        return parse_qsl(self.query, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. A body that is text goes out as it is, anything else as JSON, None as nothing."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    effect: str | None = None  # the deed that was done, for the journal
    violation: str | None = None  # the rule of the contract that the request broke, for the journal
    replayed: bool = False
    saved: bool = True  # whether an idempotency key remembers this reply


class SeedError(ValueError):
    """A seed document that the simulator does not understand."""


class Simulator(ABC):
    """One vendor. `state` holds everything it remembers and is always plain JSON."""

    state: dict[str, Any]

    def decoded(self, request: Request) -> tuple[Any, Any]:
        """The query and the body for the journal."""
        return dict(request.pairs), body_for_journal(request)

    def refuse(self, request: Request) -> Reply | None:
        """What is answered before anything else, faults included: the broken contract."""
        return None

    def replay(self, request: Request) -> Reply | None:
        """The remembered answer, where the vendor honours idempotency keys."""
        return None

    @abstractmethod
    def act(self, request: Request) -> Reply:
        """Do what the request asks and answer it."""

    def remember(self, request: Request, reply: Reply) -> None:
        """Keep the reply for `replay`."""
        return

    @abstractmethod
    def error_body(self, status: int) -> Any:
        """The vendor's own body for a planned fault of this status."""

    @abstractmethod
    def seed(self, document: Mapping[str, Any]) -> None:
        """Replace the parts of the state that the document names. Raises SeedError."""


def body_for_journal(request: Request) -> Any:
    """JSON and forms decoded; anything else as text."""
    if not request.body:
        return None
    text = request.body.decode("utf-8", "replace")
    if request.media_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(text, keep_blank_values=True))
    try:
        return json.loads(text)
    except ValueError:
        return text


def check_seed_names(document: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """A misspelt seed would make a test pass for the wrong reason. Raises SeedError."""
    unknown = sorted(set(document) - allowed)
    if unknown:
        raise SeedError(f"unknown in the seed: {', '.join(unknown)}")
