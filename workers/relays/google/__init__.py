"""Google Workspace: groups that stand for purposes, one mailbox, and its owner's contacts."""

from workers.relays.google.connection import RESPONSE_SIZE_MAX_BYTES, GoogleConnection, MailboxConnection
from workers.relays.google.deeds import erase, give, observe, probe, rectify, restrict, unrestrict, withdraw
from workers.relays.google.exporting import export

__all__ = [
    "RESPONSE_SIZE_MAX_BYTES",
    "GoogleConnection",
    "MailboxConnection",
    "erase",
    "export",
    "give",
    "observe",
    "probe",
    "rectify",
    "restrict",
    "unrestrict",
    "withdraw",
]
