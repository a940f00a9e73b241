"""What is asked by POST /consents/check, about one address or about many, and how an answer is written."""

from dataclasses import dataclass
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from schemas.strict_json import SchemaRefused

ADDRESSES_MAX = 1_000  # of one call


class QuestionRefused(SchemaRefused):
    """Not a question that is answered here; says which part is wrong, never what it was."""


@dataclass(frozen=True, slots=True)
class Question:
    """`emails`: as they were written. `is_single`: one was asked for, and not a list of one."""

    emails: tuple[str, ...]
    purpose: str
    is_single: bool


class CheckSchema(Schema):
    """One address or a list, and the purpose of what would be sent."""

    class Meta:
        unknown = RAISE

    email = fields.String()
    emails = fields.List(fields.String(), validate=validate.Length(1, ADDRESSES_MAX))
    purpose = fields.String(required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Question:
        if ("email" in data) == ("emails" in data):
            raise ValidationError("either", "email")
        single = "email" in data
        return Question((data["email"],) if single else tuple(data["emails"]), data["purpose"], single)


_SCHEMA = CheckSchema()


def read_question(document: object) -> Question:
    """Raises QuestionRefused: question_malformed, too_many_addresses."""
    listed = document.get("emails") if isinstance(document, dict) else None
    if isinstance(listed, list) and len(listed) > ADDRESSES_MAX:
        raise QuestionRefused("too_many_addresses")
    try:
        loaded = _SCHEMA.load(document)  # type: ignore[arg-type]  # what is no object is refused too
    except ValidationError:
        loaded = None
    if loaded is None:  # raised here and not above: a chained ValidationError carries the addresses
        raise QuestionRefused("question_malformed")
    question: Question = loaded
    return question
