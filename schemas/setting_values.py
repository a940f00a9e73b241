"""Setting values: the text of an environment variable made into what the service works with."""

from pathlib import Path

from schemas.api_keys import KEY_SIZE_MIN


def comma_separated(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def read_database_url(text: str, data_dir: Path) -> str:
    """SQLAlchemy's form of DATABASE_URL; platforms hand out `postgres://`, which it does not know."""
    if not text:
        return f"sqlite:///{data_dir / 'samtykke.db'}"
    for prefix in ("postgres://", "postgresql://"):
        if text.startswith(prefix):
            return "postgresql+psycopg://" + text.removeprefix(prefix)
    return text


def read_auditor_keys(text: str) -> tuple[str, ...]:
    """ValueError names the variable, never a key."""
    keys = comma_separated(text)
    if any(len(key) < KEY_SIZE_MIN for key in keys):
        raise ValueError("AUDITOR_KEYS")
    return keys


def read_witnesses(text: str) -> tuple[tuple[str, str], ...]:
    """(public key, address) of each. ValueError names the variable."""
    found = []
    for part in comma_separated(text):
        vkey, *address = part.split()
        if len(address) != 1 or not address[0].startswith(("https://", "http://")):
            raise ValueError("WITNESSES")
        found.append((vkey, address[0].rstrip("/")))
    return tuple(found)
