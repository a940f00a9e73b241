"""Why `make run` could not start, as one line that says what to do."""


class LaunchError(Exception):
    """`reason` is a stable word for programs; the message is for the person at the terminal."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
