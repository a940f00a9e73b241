"""Keys of programs that ask this service something, and what each may ask."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

KEY_SIZE_MIN = 32  # characters: a key is made by a machine, not thought of
CHECK, CHECK_MANY = "check", "check_many"
SCOPES = frozenset({CHECK, CHECK_MANY})


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who asks POST /consents/check, about one address (CHECK) or about many at once (CHECK_MANY)."""

    name: str
    scopes: frozenset[str]
    secret: str = field(repr=False)


def read_api_keys(texts: Iterable[str]) -> tuple[ApiKey, ...]:
    """Of `name:scope+scope:secret` each. ValueError that does not show what is wrong."""
    keys = []
    for text in texts:
        name, _, rest = text.partition(":")
        scopes, _, secret = rest.partition(":")
        known = frozenset(scopes.split("+"))
        if not re.fullmatch("[a-z0-9-]{1,40}", name) or not known <= SCOPES or len(secret) < KEY_SIZE_MIN:
            raise ValueError("API_KEYS")
        keys.append(ApiKey(name, known, secret))
    return tuple(keys)
