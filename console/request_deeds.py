"""`flask requests enter | answer | extend | refuse | complete`: what an operator does about a request."""

import click
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from console.addresses import email_option, read_address
from console.operator import Operator, Speaker, command, hex_id
from console.rights import write
from console.spoken import METHOD, source_option
from ledger import fulfilment, request_answers
from ledger import requests as rights_requests
from ledger.errors import RefusedError
from ledger.recorder import Recorder
from schemas.entry import RIGHTS
from schemas.message import LANGUAGES, Message, MessageType
from workers.queue import RELAY, RELAY_URGENT

request_id_argument = click.argument("request_id")


@click.command("enter")
@email_option
@click.option("--right", type=click.Choice(RIGHTS), required=True, help="What the person asks for.")
@source_option
@click.option("--identity-checked", is_flag=True, help="You are sure who it is: the month runs from now, no link asks.")
@click.option("--language", type=click.Choice(LANGUAGES), default="nb", show_default=True, help="Of the mails.")
@command
def enter(
    operator: Operator, speak: Speaker, email: str, right: str, source: str, identity_checked: bool, language: str
) -> None:
    """Enter a request. The person confirms it by the link that is mailed now, as after a form."""
    address = read_address(email).verbatim
    message = Message(MessageType.REQUEST, source, email=address, right=right, method=METHOD, language=language)
    positions = write(operator, rights_requests.ask_checked if identity_checked else rights_requests.ask, message)
    operator.ring(RELAY)
    speak.document({"result": "confirmed" if identity_checked else "asked", "right": right, "positions": positions})


@click.command("answer")
@request_id_argument
@command
def answer(operator: Operator, speak: Speaker, request_id: str) -> None:
    """Carry out a confirmed request that waits for you, or mail its answer."""
    right = write(operator, _carry_out, hex_id(request_id))
    if right == "erasure":
        operator.context.database.forget_deleted(thoroughly=True)
    operator.ring(RELAY_URGENT)
    operator.ring(RELAY)
    speak.document({"result": "under_way", "request": request_id, "right": right})


def _carry_out(connection: Connection, recorder: Recorder, request_id: bytes) -> str:
    """Returns the right. Raises RefusedError."""
    right = request_answers.require_confirmed(connection, request_id)
    try:
        with connection.begin_nested():
            done = fulfilment.carry_out(connection, recorder, request_id, {}, source="operator", by_operator=True)
    except IntegrityError:  # its mail is in the outbox, waiting or parked
        raise RefusedError("answer_under_way") from None
    if not done:
        raise RefusedError("not_done_by_itself")
    return right


@click.command("extend")
@request_id_argument
@click.option("--reason", type=click.Choice(request_answers.EXTENSION_REASONS), required=True, help="Article 12(3).")
@command
def extend(operator: Operator, speak: Speaker, request_id: str, reason: str) -> None:
    """Take more time, once and within the first month. The person is told why, and until when."""
    position = write(operator, request_answers.extend, hex_id(request_id), reason)
    operator.ring(RELAY)
    speak.document({"result": "extended", "request": request_id, "position": position})


@click.command("refuse")
@request_id_argument
@click.option("--reason", type=click.Choice(request_answers.REFUSAL_REASONS), required=True, help="Why not.")
@command
def refuse(operator: Operator, speak: Speaker, request_id: str, reason: str) -> None:
    """Answer with no. The person is told why, and where to complain (Article 12(4))."""
    position = write(operator, request_answers.refuse, hex_id(request_id), reason)
    operator.ring(RELAY)
    speak.document({"result": "refused", "request": request_id, "position": position})


@click.command("complete")
@request_id_argument
@click.option("--told", is_flag=True, help="The person has the answer already: no mail.")
@command
def complete(operator: Operator, speak: Speaker, request_id: str, told: bool) -> None:
    """It is done, and the person is told, with each recipient that was told (Article 19)."""
    key = hex_id(request_id)

    def deed(connection: Connection, recorder: Recorder) -> int:
        return request_answers.complete(connection, recorder, key, told=told)

    position = write(operator, deed)
    operator.ring(RELAY)
    speak.document({"result": "completed", "request": request_id, "position": position})


DEEDS = (enter, answer, extend, refuse, complete)
