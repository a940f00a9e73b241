"""Whether the processors still say what the ledger says, as of the last nightly comparison."""

from collections.abc import Iterator

from console.doctor.finding import FAULT, OK, WARNING, Finding, span
from console.operator import Operator
from ledger import drift
from ledger.drift_findings import FAILED, REPAIRED, REPORTED, WITHDRAWN
from workers.context import now_ms

LATE_MS = 50 * 3600 * 1000  # two nights
WORDS = {
    REPAIRED: "withdrawals were undone there and carried again: does something else write to the lists?",
    WITHDRAWN: "consents were withdrawn there, and now here too",
    REPORTED: "differ and were left alone: flask drift status, docs/guides/drift.md",
    FAILED: "comparisons failed: flask doctor --connections",
}


def comparison(operator: Operator) -> Iterator[Finding]:
    with operator.context.database.read() as connection:
        found = drift.standing(connection)
    if found.current is None:
        return
    if found.finished is None or now_ms() - (found.finished.finished_at_ms or 0) > LATE_MS:
        yield Finding(WARNING, "drift", "no comparison has finished for two nights: is the relayer running?")
    if found.finished is None:
        return
    ago = span(now_ms() - (found.finished.finished_at_ms or 0))
    yield Finding(OK, "drift", f"{found.finished.people} people compared with the processors {ago} ago")
    for outcome, words in WORDS.items():
        if count := found.finished.counts.get(outcome):
            yield Finding(FAULT if outcome == REPAIRED else WARNING, "drift", f"{count} {words}")
