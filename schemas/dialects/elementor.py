"""Elementor Pro: labels as keys, or with "Advanced Data" the fields' own ids in PHP's brackets."""

import re
from collections.abc import Mapping

from schemas.dialects.fields import Fields, flatten

_FIELD = re.compile(r"fields\.(.+)\.(value|raw_value)")


def read_elementor(document: object) -> Fields:
    """Simple: each label and its value. Advanced: each field's id and its value, and nothing of `form` and `meta`.

    `value` joins several ticked choices with ", ", which may also stand in a choice; `raw_value` lists them
    (modules/forms/classes/form-record.php).
    """
    if not isinstance(document, Mapping) or "form[id]" not in document:
        return flatten(document, brackets=False)  # a label may have brackets of its own
    found: Fields = {}
    for name, texts in flatten(document).items():
        if match := _FIELD.fullmatch(name):
            key, kind = match.groups()
            if kind == "value" or len(texts) > 1:  # the plugin writes `raw_value` after `value`
                found[key] = texts
    return found
