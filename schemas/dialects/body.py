"""A form's request as a document: the body as its dialect writes it, with the headers that belong to it."""

from collections.abc import Callable

from schemas.dialects import FORM, Dialect
from schemas.form_body import parse_form
from schemas.strict_json import parse_json

HEADER_SIZE_MAX = 200  # characters; a longer one is none of a plugin's


def parse_submission(dialect: Dialect, raw: bytes, media_type: str, header: Callable[[str, str], str]) -> object:
    """Raises SyntaxRefused. `header` is a function like `request.headers.get`."""
    if media_type == FORM and not (dialect.json_as_form and raw.lstrip().startswith(b"{")):
        document: object = parse_form(raw)
    else:
        document = parse_json(raw)
    if dialect.headers and isinstance(document, dict):
        document |= {name: header(name, "")[:HEADER_SIZE_MAX] for name in dialect.headers}
    return document
