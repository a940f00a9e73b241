"""Mails to a person: one module for each, which says what its letter holds; workers/mail.py writes and sends it."""

from collections.abc import Callable, Mapping

from ledger.outbox import Relay
from ledger.recorder import ANSWER, CONFIRMATION, EXTENSION, LIFTING, OUTCOME, RECEIPT, REFUSAL, REMINDER, REQUEST
from workers.context import Context
from workers.mails.answer import answer, answer_left
from workers.mails.confirmation import confirmation
from workers.mails.extension import extension
from workers.mails.letter import Letter
from workers.mails.lifting import lifting, lifting_left
from workers.mails.outcome import outcome
from workers.mails.receipt import receipt
from workers.mails.refusal import refusal
from workers.mails.reminder import reminder
from workers.mails.request import request

# Action of the mail's relay -> what its letter holds. Raises Superseded when nobody waits for it, RelayError when it
# must wait itself.
LETTERS: Mapping[str, Callable[[Context, Relay], Letter]] = {
    CONFIRMATION: confirmation,
    EXTENSION: extension,
    LIFTING: lifting,
    OUTCOME: outcome,
    RECEIPT: receipt,
    REFUSAL: refusal,
    REMINDER: reminder,
    REQUEST: request,
    ANSWER: answer,
}
# Action -> what is to be done once its mail has left.
WHEN_LEFT: Mapping[str, Callable[[Context, Relay], None]] = {ANSWER: answer_left, LIFTING: lifting_left}
