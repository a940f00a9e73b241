"""The one shape of a refusal: a status for each cause, a stable reason, and never an echo of the input."""

from dataclasses import dataclass


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not a failure
    """The door says no. `status` is the HTTP status; `reason` is stable and safe to show."""

    def __init__(self, status: int, reason: str, retry_after_s: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


class NotUnderstood(Exception):  # noqa: N818
    """Authenticated and well formed, but not what this sender's form should say: to be parked, not refused."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# What a sender's developer reads beside the status; the reason says which case it was.
MESSAGES = {
    400: "The body cannot be read.",
    401: "The sender could not be verified.",
    403: "This key may not do that.",
    404: "There is nothing here.",
    405: "This address does not take that method.",
    408: "The request did not come in time.",
    409: "The ledger does not continue what was presented.",
    413: "The body is too large.",
    414: "The address is too long.",
    415: "This content type or encoding is not accepted.",
    422: "The document is not what it must be here.",
    429: "Too many requests. Try again later.",
    431: "The header is too large.",
    500: "Something went wrong on our side.",
    503: "The service cannot store anything now. Try again.",
}


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """{"error": {"status", "reason", "message"}} - the same on every route."""

    status: int
    reason: str

    @property
    def message(self) -> str:
        return MESSAGES.get(self.status, "The request was refused.")

    def document(self) -> dict[str, object]:
        return {"error": {"status": self.status, "reason": self.reason, "message": self.message}}
