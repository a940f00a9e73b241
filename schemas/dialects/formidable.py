"""Formidable Forms' API add-on: a list of entries, with one entry in it."""

from schemas.dialects.fields import Fields, flatten
from schemas.refusal import NotUnderstood


def read_formidable(document: object) -> Fields:
    """The one entry of the list, keyed by field keys; sent as a form, the list is `0[id]=…`.

    Raises NotUnderstood for several entries: a delivery is one person's word.
    """
    if isinstance(document, list):
        if len(document) != 1:
            raise NotUnderstood("not_one_entry")
        return flatten(document[0])
    fields = flatten(document)
    if all(name.startswith("0.") for name in fields):
        return {name.removeprefix("0."): texts for name, texts in fields.items()}
    if any(name.startswith("1.") for name in fields):
        raise NotUnderstood("not_one_entry")
    return fields
