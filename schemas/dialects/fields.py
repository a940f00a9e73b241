"""Flat fields: the one shape that every plugin's body is read into, each field with the texts that it holds."""

import re
from collections.abc import Iterator, Mapping

from schemas.refusal import NotUnderstood

Fields = dict[str, tuple[str, ...]]  # null and an empty list hold no text, a list of ticked choices several

_BRACKETED = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")
_INDEX = re.compile("[0-9]*")


def flatten(document: object, *, brackets: bool = True) -> Fields:
    """An object as flat fields. What is nested gets the names from the root with dots between: `names.first_name`,
    and the same for PHP's `names[first_name]`, unless `brackets` is off.

    A list of plain values is one field with several texts, as is `topics[0]`, `topics[1]`; a list of objects is not
    read. Raises NotUnderstood for anything but an object, and where two fields get the same name: a visitor may have
    brought the second one.
    """
    if not isinstance(document, Mapping):
        raise NotUnderstood("not_an_object")
    found: Fields = {}
    listed: set[str] = set()
    for name, texts in _walk(document, ""):
        plain, is_item = _unbracketed(name) if brackets and "[" in name else (name, False)
        if plain in found and not (is_item and plain in listed):
            raise NotUnderstood("field_ambiguous")
        if is_item:
            listed.add(plain)
        found[plain] = found.get(plain, ()) + texts
    return found


def text_of(fields: Fields, name: str | None) -> str:
    """The one text of a field, or "" where it has none, several or is not there."""
    texts = fields.get(name or "", ())
    return texts[0] if len(texts) == 1 else ""


def _walk(members: Mapping[str, object], prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, value in members.items():
        if isinstance(value, str):  # nearly all are
            yield prefix + name, (value,)
        elif isinstance(value, dict):
            yield from _walk(value, f"{prefix}{name}.")
        elif (texts := texts_of(value)) is not None:
            yield prefix + name, texts


def texts_of(value: object) -> tuple[str, ...] | None:
    """The texts of a plain value or of a list of them, else None. JSON's true is "true".

    A fraction is not read: no plugin sends one for anything that we ask for.
    """
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
    found: list[str] = []
    for item in value:
        texts = None if isinstance(item, list) else texts_of(item)
        if texts is None:
            return None
        found.extend(texts)
    return tuple(found)


def _unbracketed(name: str) -> tuple[str, bool]:
    """`a[b]` is a.b; `a[0]` and `a[]` are items of a. What is not written as PHP writes it is a name like any other."""
    match = _BRACKETED.fullmatch(name)
    if match is None:
        return name, False
    parts = [match[1], *match[2][1:-1].split("][")]
    is_item = _INDEX.fullmatch(parts[-1]) is not None
    return ".".join(parts[:-1] if is_item else parts), is_item
