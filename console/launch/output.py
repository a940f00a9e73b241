"""Shows what the processes write: whole lines, each after the name of its process."""

import os
import selectors
import sys
from collections.abc import Iterable

import click

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow", "bright_green")
LINE_SIZE_MAX_BYTES = 65_536


class Output:
    """One pipe per name. A process gets the end that `open` returns; `forward` shows what came through."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._width = max(map(len, (*self._names, "release", "manager")))
        self._selector = selectors.DefaultSelector()
        self._unfinished: dict[int, bytes] = {}
        self._ours: list[int] = []

    @property
    def is_open(self) -> bool:
        return bool(self._unfinished)

    def open(self, name: str) -> int:
        """The end to write to, until `close_ours` closes our copy of it."""
        read_end, write_end = os.pipe()
        self._selector.register(read_end, selectors.EVENT_READ, name)
        self._unfinished[read_end] = b""
        self._ours.append(write_end)
        return write_end

    def close_ours(self) -> None:
        """After the start of the process: the pipe then ends when the process does."""
        while self._ours:
            os.close(self._ours.pop())

    def forward(self, timeout_s: float) -> None:
        """Show the lines that are there, or that come within `timeout_s`."""
        for key, _ in self._selector.select(timeout_s):
            chunk = os.read(key.fd, LINE_SIZE_MAX_BYTES)
            *lines, rest = (self._unfinished[key.fd] + chunk).split(b"\n")
            if rest and (not chunk or len(rest) >= LINE_SIZE_MAX_BYTES):
                lines, rest = [*lines, rest], b""
            self._show(key.data, lines)
            self._unfinished[key.fd] = rest
            if not chunk:
                self._selector.unregister(key.fd)
                os.close(key.fd)
                del self._unfinished[key.fd]

    def say(self, text: str) -> None:
        try:
            click.echo(text)
        except OSError:
            # Whoever read us has gone (`make run | head`): the service goes on, unseen.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _show(self, name: str, lines: list[bytes]) -> None:
        colour = COLOURS[self._names.index(name) % len(COLOURS)] if name in self._names else "bright_black"
        prefix = click.style(f"{name:<{self._width}} |", fg=colour)
        if lines:
            self.say("\n".join(f"{prefix} {line.decode(errors='replace')}" for line in lines))
