"""Answers to requests for access and portability: gathered, written for people and machines, sealed, mailed."""

from ledger.answers import enqueue

__all__ = ["enqueue"]
