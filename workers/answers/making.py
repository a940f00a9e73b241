"""Making an answer: gathered from everybody who holds something, written in three forms, as one bundle to seal."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from schemas.log_line import error_fields, log
from workers.answers.pdf import format_pdf
from workers.answers.readable import Readable, readable
from workers.context import Context
from workers.export import NOT_CONNECTED, NOT_COVERED, NOTHING_TO_ASK, export

PORTABILITY = "portability"
FORMAT_PORTABILITY = "samtykke-portability/1"
# No later attempt fares better: the answer says so, and goes.
LASTING = frozenset({NOT_COVERED, NOT_CONNECTED, NOTHING_TO_ASK})
# What the person gave us (GDPR Article 20(1)); what we wrote about it, and what others hold, is no part of that.
GIVEN = ("made", "controller", "authority", "subject", "language", "addresses", "profile", "consents", "sealed")


@dataclass(frozen=True, slots=True)
class Made:
    """`missing`: processor, or a part of one, to the reason. `failed`: those of them that may answer later."""

    bundle: bytes
    missing: Mapping[str, str]

    @property
    def failed(self) -> list[str]:
        return [name for name, reason in self.missing.items() if reason not in LASTING]

    def __repr__(self) -> str:
        return "Made(redacted)"


def make(context: Context, handle: bytes, right: str, request_id: bytes) -> Made:
    """Ask everybody, and write it down for people and machines. Raises NotFoundError for somebody who is gone."""
    only_given = right == PORTABILITY
    asking = replace(context, policy=replace(context.policy, processors={})) if only_given else context
    found = export(asking, handle, request_id)
    document = dict(found.document)
    if only_given:
        document = {"format": FORMAT_PORTABILITY} | {name: document[name] for name in GIVEN}
        shown = found.document
    else:
        shown = document
    language = str(document["language"])
    page = readable(shown, context.policy, language, only_given=only_given)
    bundle = {"export": document, "readable": page.document(), "pdf": _pdf(page)}
    return Made(json.dumps(bundle, ensure_ascii=False, separators=(",", ":")).encode(), found.missing)


def _pdf(page: Readable) -> str | None:
    """In base64; None where it cannot be typeset: the page and the JSON say the same."""
    try:
        return base64.b64encode(format_pdf(page)).decode("ascii")
    except Exception as error:
        log.error("answer_without_pdf", **error_fields(error))
        return None
