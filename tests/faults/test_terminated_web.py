"""SIGTERM under load, as every deployment sends it: the web process ends cleanly and keeps what it acknowledged."""

import signal

import pytest

from tests.faults.conftest import Note
from tests.faults.oracle import assert_ledger_verifies, breaches, database_of, wait_until_recorded
from tests.faults.senders import Campaign, fresh_name
from tests.stack import Stack

COUNT = 200


def terminate_under_load(stack: Stack, times: int, note: Note) -> None:
    seen = len(stack.log_text())
    campaign = Campaign(stack, f"term-{fresh_name()}", COUNT * times).start()
    try:
        for number in range(times):
            campaign.wait_for_progress(number * COUNT + COUNT // 4)
            stack.wait_restarted("web", stack.kill("web", signal.SIGTERM))
        journal = campaign.finish()
    finally:
        campaign.stop()
    wait_until_recorded(stack)
    note("answers", dict(journal.answers))
    # Told 200, or told nothing because the connection was refused or closed: never an error page.
    assert set(journal.answers) <= {200, None}
    assert len(journal.acknowledged) == COUNT * times
    assert breaches(database_of(stack), journal.acknowledged) == []
    assert_ledger_verifies(stack)
    log = stack.log_text()[seen:]
    assert log.count('"event": "server_stopping"') == times
    assert unclean_ends(log) == []


def unclean_ends(log: str) -> list[str]:
    """The manager warns of an exit that is not 0; gunicorn of a worker that it had to kill."""
    words = ("exited: web", "worker_failed", "worker_signalled", "worker_timed_out", "worker_crashed")
    return [line for line in log.splitlines() if any(word in line for word in words)]


def test_a_terminated_web_process_keeps_what_it_acknowledged(service: Stack, note: Note) -> None:
    terminate_under_load(service, 1, note)


@pytest.mark.long
def test_a_row_of_deployments_keeps_it_too(service: Stack, note: Note) -> None:
    terminate_under_load(service, 10, note)
