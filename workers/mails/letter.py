"""What a letter to a person holds, and the steps that every letter shares: whose it is, links, proof."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from ledger import links, vault
from ledger.checkpoints import note_verifiers
from ledger.errors import NotFoundError
from ledger.outbox import Relay
from ledger.published_keys import RECEIPT, publish
from ledger.receipts import build_receipt
from ledger.restriction import open_restricted
from ledger.sealing import unseal_versioned
from schemas.message import LANGUAGES
from schemas.policy import Text
from schemas.rights import RIGHT_NAMES
from schemas.token import format_token
from workers.context import Context, now_ms
from workers.ending import Superseded
from workers.relays.action import RelayError


@dataclass(frozen=True, slots=True)
class Attachment:
    """`media_type` such as application/json."""

    filename: str
    media_type: str
    content: bytes

    def __repr__(self) -> str:
        return f"Attachment({self.media_type}, redacted)"


@dataclass(frozen=True, slots=True)
class Letter:
    """`template`: of workers/mails/templates, without its ending; it is written once in each of `languages`.

    `withdraw_url`: for the one click of a mail program; None where nothing is left to withdraw. `leaves_no_copy`: for
    somebody who has just been erased.
    """

    email: str
    languages: tuple[str, ...]
    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    withdraw_url: str | None = None
    leaves_no_copy: bool = False

    def __repr__(self) -> str:
        return f"Letter({self.template}, redacted)"


@dataclass(frozen=True, slots=True)
class Addressee:
    """The person, with boxes that may be opened, and the address; and the link that withdraws."""

    person: vault.Subject
    email: str
    withdraw_url: str

    def __repr__(self) -> str:
        return "Addressee(redacted)"


def addressee(context: Context, connection: Connection, claimed: Relay) -> Addressee:
    """Raises Superseded for somebody of whom nothing is held any more. In a write: the link is made at first need."""
    try:
        person = vault.load_subject(connection, context.keyring["kek"], claimed.subject)
    except NotFoundError:
        raise Superseded("subject_gone") from None
    person = open_restricted(connection, person, f"mail_{claimed.action}", now_ms())
    emails = vault.emails(connection, person)
    if not emails:
        raise Superseded("no_address")
    link_id = links.withdraw_link(connection, person.handle, now_ms())
    return Addressee(person, emails[-1], link_url(context, "w", link_id))


def to_person(
    addressed: Addressee, template: str, values: Mapping[str, Any], *attachments: Attachment | None
) -> Letter:
    """A letter to somebody whom we know, in their language."""
    return Letter(
        addressed.email,
        (addressed.person.language,),
        template,
        {
            "email": addressed.email,
            "preferences_url": addressed.withdraw_url.replace("/w/", "/p/"),
            "withdraw_url": addressed.withdraw_url,
            **values,
        },
        tuple(one for one in attachments if one is not None),
        addressed.withdraw_url,
    )


def to_address(
    context: Context, claimed: Relay, template: str, values: Mapping[str, Any], *attachments: Attachment
) -> Letter:
    """A letter to somebody of whom only the address is left, in the relay's box, for this one letter.

    The language was erased too, so it speaks both. There is nothing to withdraw.
    """
    assert claimed.box is not None
    *_, email = unseal_versioned(context.keyring["kek"], claimed.box, claimed.id).decode().splitlines()
    return Letter(email, LANGUAGES, template, values, attachments, leaves_no_copy=True)


def open_question(context: Context, connection: Connection, claimed: Relay, kind: str) -> bytes:
    """Link of the question this mail asks. Closed by a withdrawal, answered or too old: then it is not asked."""
    cause, days = claimed.cause.hex(), context.policy.retention.unconfirmed_request_days
    for link in links.confirmations(connection, claimed.subject, kind):
        if cause in link.request_ids and link.can_confirm(now_ms(), days):
            return link.id
    raise Superseded("not_asked_any_more")


def link_url(context: Context, route: str, link_id: bytes) -> str:
    """Of a page behind a token: `w`, `c`, `r` ..."""
    key = context.keyring["token_mac"]
    token = format_token(key_id=key.current, link_id=link_id, mac_key=key.value)
    return f"{context.settings.public_url}/{route}/{token}"


def purpose_names(context: Context, claimed: Relay) -> list[Text]:
    """A purpose may have left the policy since: then its key is its name."""
    known = context.policy.purposes
    return [known[key].name if key in known else Text(nb=key, en=key) for key in claimed.purposes]


def right_names(claimed: Relay) -> list[Text]:
    return [RIGHT_NAMES[right] for right in claimed.purposes]


def proof(context: Context, connection: Connection, claimed: Relay, addressed: Addressee | None = None) -> Attachment:
    """The signed receipt of what caused this mail; in a write, for its public keys are published with it.

    Raises RelayError while no checkpoint covers it.
    """
    key = context.keyring["receipt"]
    publish(connection, RECEIPT, note_verifiers(key), now_ms())
    receipt = build_receipt(
        connection,
        context.policy,
        key,
        claimed.cause,
        claimed.subject,
        now_ms(),
        person=addressed.person if addressed else None,
        withdraw_url=addressed.withdraw_url if addressed else None,
    )
    if receipt is None:
        raise RelayError("checkpoint_awaited", retry_after_s=1.0)
    return Attachment("receipt.json", "application/json", receipt)
