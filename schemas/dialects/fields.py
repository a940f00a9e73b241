"""Flat fields: the one shape that every plugin's body is read into, each field with the texts that it holds."""

from collections.abc import Iterator, Mapping

from schemas.refusal import NotUnderstood

Fields = dict[str, tuple[str, ...]]  # null and an empty list hold no text, a list of ticked choices several


def flatten(document: object) -> Fields:
    """An object as flat fields. What is nested gets the names from the root with dots between: `names.first_name`.

    A list of plain values is one field with several texts; a list of objects is not read. Raises NotUnderstood for
    anything but an object, and where two fields get the same name: a visitor may have brought the second one.
    """
    if not isinstance(document, Mapping):
        raise NotUnderstood("not_an_object")
    found: Fields = {}
    for name, texts in _walk(document, ""):
        if name in found:
            raise NotUnderstood("field_ambiguous")
        found[name] = texts
    return found


def text_of(fields: Mapping[str, tuple[str, ...]], name: str) -> str:
    """The one text of a field, or "" where it has none, several or is not there."""
    texts = fields.get(name, ())
    return texts[0] if len(texts) == 1 else ""


def _walk(members: Mapping[str, object], prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, value in members.items():
        if isinstance(value, Mapping):
            yield from _walk(value, f"{prefix}{name}.")
        elif (texts := _texts(value)) is not None:
            yield prefix + name, texts


def _texts(value: object) -> tuple[str, ...] | None:
    """JSON's true is "true". A fraction is not read: no plugin sends one for anything that we ask for."""
    if isinstance(value, str):
        return (value,)
    if value is None:
        return ()
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, int):
        return (str(value),)
    if not isinstance(value, list):
        return None
    items = [_texts(item) for item in value if not isinstance(item, list)]
    if len(items) < len(value) or None in items:
        return None
    return tuple(text for item in items for text in item or ())
