"""What the answers of processors to an erasure are called in mails, on pages and in commands."""

from collections.abc import Mapping

from schemas.policy import Text

OUTCOME_NAMES: Mapping[str, Text] = {
    "removed": Text(nb="slettet", en="deleted"),
    "not_found": Text(nb="ingenting ble funnet", en="nothing was found"),
    "retained": Text(nb="noe må beholdes en tid", en="some must be kept for a time"),
}
WAITING = Text(nb="ikke ferdig ennå", en="not done yet")
UNLIMITED = Text(nb="ingen frist er oppgitt", en="no limit is published")

GROUND_NAMES: Mapping[str, Text] = {
    "bookkeeping": Text(nb="Bilag (bokføringsloven § 13)", en="Vouchers (the Norwegian Bookkeeping Act, section 13)"),
    "open_dispute": Text(nb="En betaling som er bestridt", en="A payment that is disputed"),
    "unpaid_invoice": Text(nb="En faktura som ikke er betalt", en="An invoice that is not paid"),
    "unpaid_checkout": Text(nb="Et kjøp som ikke er fullført", en="A purchase that was not completed"),
}
KEPT = Text(nb="Det som må beholdes etter loven", en="What the law says must be kept")
