"""The ways on which checkpoints leave the house: witnesses, a folder, a mailbox, and the mirror of the leaves.

What was published when is a heartbeat row of the outlet's name, so it is known after a restart; a database that was
restored forgot it, and publishes again, which does no harm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, func, select

from ledger.checkpoints import newest_checkpoint, newest_cosigned
from ledger.durable_file import create_file
from ledger.errors import LedgerError
from ledger.heartbeat import last_beat_ms
from ledger.mirror import extend_mirror
from ledger.tables import ledger_checkpoint
from schemas.entry import format_time
from schemas.settings import Settings
from workers.context import Context
from workers.mail import compose, deliver, render
from workers.relays.action import RelayError
from workers.witnesses import WitnessClient

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
LATE_MS = 2 * HOUR_MS
FILE, MAIL, MIRROR, WITNESS = "checkpoint_file", "checkpoint_mail", "mirror", "witness"


class PublishingError(LedgerError):
    """A checkpoint could not leave the house by this way."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """`publish(at_ms, anew)` tells whether something left; `anew` says that nothing has since this process began.

    `rest_ms`: how long it is left alone after that.
    """

    name: str
    publish: Callable[[int, bool], bool]
    rest_ms: int = 0


def witness_outlets(context: Context) -> list[Outlet]:
    """Each is asked at most once an hour: a public witness may say "at most 24 times per day" (witness-network.org)."""
    return [
        Outlet(witness_name(vkey), partial(_to_witness, context, vkey, url), HOUR_MS)
        for vkey, url in context.settings.witnesses
    ]


def folder_outlets(context: Context) -> list[Outlet]:
    """Those that are set, of the folder, the mailbox and the mirror."""
    settings = context.settings
    outlets = []
    if settings.checkpoint_drop_dir is not None:
        outlets.append(Outlet(FILE, partial(_to_folder, context, settings.checkpoint_drop_dir)))
    if settings.checkpoint_mail_to is not None:
        outlets.append(Outlet(MAIL, partial(_to_mailbox, context, settings.checkpoint_mail_to)))
    if settings.mirror_dir is not None:
        outlets.append(Outlet(MIRROR, partial(_to_mirror, context, settings.mirror_dir), MINUTE_MS))
    return outlets


def witness_name(vkey: str) -> str:
    """The outlet's name of a witness, from its public key."""
    return f"{WITNESS} {vkey.partition('+')[0]}"


def _to_witness(context: Context, vkey: str, url: str, _at_ms: int, anew: bool) -> bool:
    """Anew also what is cosigned already: a database that was restored believes that too, and the witness knows."""
    with context.database.read() as connection:
        newest = newest_checkpoint(connection)
        cosigned = newest_cosigned(connection, vkey.partition("+")[0])
    if newest is None or (newest[0] == cosigned and not anew):
        return False
    WitnessClient(vkey, url, context.settings.unsafe_allow_loopback).cosign(context.database)
    return True


def _to_folder(context: Context, folder: Path, at_ms: int, _anew: bool) -> bool:
    """A file a day. The folder is never made: where a disk is not mounted it would be made on the wrong one."""
    found = _todays(context, FILE, at_ms)
    if found is None:
        return False
    filename, _, note = found
    try:
        create_file(folder / filename, note.encode(), mode=0o644)  # no secret, and others may be the ones to keep it
    except FileExistsError:
        return True
    except FileNotFoundError:
        raise PublishingError("folder_missing") from None
    except OSError:
        raise PublishingError("folder_not_written") from None
    return True


def _to_mailbox(context: Context, recipient: str, at_ms: int, _anew: bool) -> bool:
    found = _todays(context, MAIL, at_ms)
    if found is None:
        return False
    filename, size, note = found
    day = format_time(at_ms)[:10]
    name = f"checkpoint-{day}"
    text = render("checkpoint", "en", context, {"day": day, "size": size, "filename": filename})  # it speaks both
    mail = compose(context.settings.mail_from, recipient, name, text)
    # Not as text: a mail program may change the ends of its lines.
    mail.add_attachment(note.encode(), maintype="application", subtype="octet-stream", filename=filename)
    try:
        deliver(context, name, mail)
    except RelayError as error:
        raise PublishingError(error.reason) from None
    return True


def _to_mirror(context: Context, folder: Path, _at_ms: int, _anew: bool) -> bool:
    """Each time: it reads next to nothing where nothing is new, and notices a folder that was changed or lost."""
    with context.database.read() as connection:
        if newest_checkpoint(connection) is None:
            return False
        extend_mirror(connection, folder)
    return True


def _todays(context: Context, name: str, at_ms: int) -> tuple[str, int, str] | None:
    """(file name, size, note) of the checkpoint of this day (UTC), unless this outlet has had one or none is signed."""
    day = format_time(at_ms)[:10]
    with context.database.read() as connection:
        last_ms = last_beat_ms(connection, name)
        newest = newest_checkpoint(connection)
    if newest is None or (last_ms is not None and format_time(last_ms)[:10] == day):
        return None
    size, note = newest
    return f"checkpoint-{day}-{size}.txt", size, note


@dataclass(frozen=True, slots=True)
class Standing:
    """What an operator wants to know of an outlet: when something left last, and whether the next is late."""

    name: str
    published_at_ms: int | None
    is_late: bool


def standings(connection: Connection, settings: Settings, now_ms: int) -> list[Standing]:
    """One for each outlet that is set."""
    waits_since_ms: dict[str, int | None] = {}
    for vkey, _ in settings.witnesses:
        cosigned = newest_cosigned(connection, vkey.partition("+")[0]) or 0
        waits_since_ms[witness_name(vkey)] = _oldest_ms(connection, ledger_checkpoint.c.size > cosigned)
    for name, setting in ((FILE, settings.checkpoint_drop_dir), (MAIL, settings.checkpoint_mail_to)):
        if setting is not None:
            last_ms = last_beat_ms(connection, name)
            waits_since_ms[name] = _oldest_ms(connection, _after(None)) if last_ms is None else last_ms + DAY_MS
    if settings.mirror_dir is not None:
        waits_since_ms[MIRROR] = _oldest_ms(connection, _after(last_beat_ms(connection, MIRROR)))
    return [
        Standing(name, last_beat_ms(connection, name), since_ms is not None and now_ms - since_ms > LATE_MS)
        for name, since_ms in waits_since_ms.items()
    ]


def _after(at_ms: int | None) -> ColumnElement[bool]:
    return ledger_checkpoint.c.signed_at_ms > (at_ms or 0)


def _oldest_ms(connection: Connection, condition: ColumnElement[bool]) -> int | None:
    """When the oldest of these checkpoints was signed; None if there is none."""
    found: int | None = connection.execute(select(func.min(ledger_checkpoint.c.signed_at_ms)).where(condition)).scalar()
    return found
