"""What Google's relay is given: an administrator's account for the groups, and the mailbox owner's for the rest."""

import threading
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from workers.outgoing import OutgoingSession
from workers.relays.action import system_clock_ms

RESPONSE_SIZE_MAX_BYTES = 4 * 1024 * 1024  # a page of contacts, or one mail whole; attachments can be larger


@dataclass(frozen=True, slots=True)
class MailboxConnection:
    """The mailbox' owner, whose mail and contacts they are. An empty `people_base`: contacts are not connected."""

    credentials_info: Mapping[str, str] = field(repr=False)
    subject: str
    gmail_base: str
    people_base: str
    session: OutgoingSession = field(repr=False)
    delete_permanently: bool = False
    clock: Callable[[], int] = field(default=system_clock_ms, repr=False)
    made: MutableMapping[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    # "Mutate requests for the same user should be sent sequentially" (the People API's discovery document).
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class GoogleConnection:
    """The administrator as whom members are removed, and what else is connected.

    `groups` maps a purpose to the address of its group; without any, groups are not connected.
    """

    credentials_info: Mapping[str, str] = field(repr=False)
    subject: str
    api_base: str
    groups: Mapping[str, str]
    session: OutgoingSession = field(repr=False)
    mailbox: MailboxConnection | None = None
    clock: Callable[[], int] = field(default=system_clock_ms, repr=False)
    # The credentials are made once, so that their token serves until it expires.
    made: MutableMapping[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
