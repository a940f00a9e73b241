"""The record's own errors: each carries a stable reason and never a value that came from outside."""


class LedgerError(Exception):
    """Base of the room's errors; `reason` is stable and safe to show."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeyringError(LedgerError):
    """A key is missing, malformed, or not held by this process."""


class SealError(LedgerError):
    """A box does not open: wrong key, wrong place, or changed bytes."""


class DatabaseAwayError(LedgerError):
    """The database cannot answer now; the caller may try again."""


class SignerError(LedgerError):
    """The signer refuses: the ledger is not a continuation of what was signed before."""


class NotFoundError(LedgerError):
    """No such row."""


class RefusedError(LedgerError):
    """The deed is not allowed in this state."""
