"""supervisord, woken by signals: it restarts and stops at once instead of at its next look, up to 1 s later.

Since Python 3.5 a signal no longer interrupts poll() (PEP 475), on which supervisord's main loop relied.
"""

import os
import signal

from supervisor.medusa import asyncore_25 as asyncore
from supervisor.supervisord import main

READ_SIZE_BYTES = 512


class Alarm:
    """A pipe that the interpreter writes to on every signal, as one more thing for supervisord to poll."""

    def __init__(self) -> None:
        self._read_end, write_end = os.pipe()
        for end in (self._read_end, write_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        # The first look comes at once as well: it is the one that starts the processes.
        os.write(write_end, b"\0")
        asyncore.socket_map[self._read_end] = self

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        os.read(self._read_end, READ_SIZE_BYTES)

    def handle_error(self) -> None:
        """Nothing to read: another signal's byte was read with the last one's."""


if __name__ == "__main__":
    Alarm()
    main()
