"""Addresses of hosts: asked for within a time, and whether they are on the public internet."""

import ipaddress
import queue
import socket
import threading
from contextlib import suppress
from typing import Any

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the IPv4 address is the last 32 bits
SITE_LOCAL = ipaddress.IPv6Network("fec0::/10")


def is_public_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is on the public internet, also behind the IPv6 forms that carry an IPv4 address."""
    if isinstance(address, ipaddress.IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if embedded is not None:
            return is_public_address(embedded)
    return address.is_global and not (address.is_multicast or address.is_reserved or address in SITE_LOCAL)


def resolve(host: str, port: int, timeout_s: float) -> list[tuple[int, tuple[Any, ...]]]:
    """(family, address) of a host, none if there is no such name. TimeoutError: nobody has said so in time."""
    with suppress(OSError):  # an address already: nobody is asked
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [(each[0], each[4]) for each in found]
    answers: queue.SimpleQueue[list[tuple[int, tuple[Any, ...]]]] = queue.SimpleQueue()

    def ask() -> None:
        found: list[tuple[Any, ...]] = []
        with suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        answers.put([(each[0], each[4]) for each in found])

    # getaddrinfo has no timeout, so it gets a thread that may be left behind.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError from None
