"""Each promise, broken on purpose: the same checks that the other tests make must notice."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import reduce

import pytest

from ledger.state import ConsentState, reduce_state
from tests.faults.mortal import Mortal, mortal
from tests.faults.oracle import breaches, change, query, state_breaches
from tests.faults.variants import (
    reduce_with_grants_winning_ties,
    withdraw_following_redirects,
    withdraw_without_reading_back,
)
from tests.simulators.process import SimulatorProcess
from workers.outgoing import OutgoingSession
from workers.relays import wordpress
from workers.relays.action import RelayAction, RelayError, RelayResult
from workers.relays.wordpress import WordPressConnection

EMAIL = "kari@example.org"
FIELDS = {"email": EMAIL, "newsletter": "yes"}
Reduce = Callable[[Iterable[ConsentState]], ConsentState]
Withdraw = Callable[[RelayAction, WordPressConnection], RelayResult]


@pytest.fixture
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    with mortal(tmp_path_factory.mktemp("seeded")) as made:
        yield made


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess("wordpress", tmp_path_factory.mktemp("site")) as wordpress:
        wordpress.seed({"subscribers": [{"email": EMAIL, "purposes": ["newsletter"]}]})
        yield wordpress


def test_a_door_that_answers_before_it_stores_is_caught(installation: Mortal) -> None:
    for deed in ("deliver", "deliver_eagerly"):
        death = installation.deliver(f"msg_{deed}", FIELDS, deed, point="answered")
        assert death.said == ("200",)
    installation.do("record")
    assert breaches(installation.database, ["msg_deliver"]) == []
    assert breaches(installation.database, ["msg_deliver_eagerly"]) == ["lost: msg_deliver_eagerly"]


def test_a_door_that_forgets_what_it_has_seen_is_caught(installation: Mortal) -> None:
    for deed, email in (("deliver", EMAIL), ("deliver_forgetfully", "ola@example.org")):
        for _ in range(2):
            assert installation.deliver(f"msg_{deed}", FIELDS | {"email": email}, deed).said == ("200",)
        installation.do("record")
        found = breaches(installation.database, [])
        assert [one.split(":")[0] for one in found] == ([] if deed == "deliver" else ["doubled"])


def test_a_recorder_that_writes_the_effect_and_its_note_apart_is_caught(installation: Mortal) -> None:
    for deed, expected in (("record", []), ("record_in_two_steps", ["doubled"])):
        installation.deliver(f"msg_{deed}", FIELDS | {"email": f"{deed}@example.org"})
        assert installation.do(deed, point="committed").signal == 9
        installation.do(deed)
        found = [one.split(":")[0] for one in breaches(installation.database, [f"msg_{deed}"])]
        assert [one for one in found if one == "doubled"] == expected


def given_after_withdrawn(reduce_events: Reduce) -> list[tuple[ConsentState, ...]]:
    """P3: the orders in which a grant ends above a withdrawal of the same or a later moment."""
    events = [ConsentState(kind, at_ms, 0) for kind in ("given", "withdrawn") for at_ms in (1, 2)]
    histories = [order for size in range(1, 5) for order in itertools.permutations(events, size)]
    newest = {history: max(event.effective_at_ms for event in history) for history in histories}
    return [
        history
        for history in histories
        if ConsentState("withdrawn", newest[history], 0) in history and reduce_events(history).state != "withdrawn"
    ]


def test_a_reducer_in_which_a_grant_wins_a_tie_is_caught() -> None:
    assert given_after_withdrawn(lambda events: reduce(reduce_state, events)) == []
    assert given_after_withdrawn(reduce_with_grants_winning_ties) != []


def test_a_state_that_the_entries_do_not_say_is_caught(installation: Mortal) -> None:
    world = installation.world
    world.give(EMAIL)
    # Signatures count whole seconds, so this one names the next: our own moment of receipt then counts.
    assert world.post_signed("withdrawal", {"email": EMAIL}, at_s=int(time.time()) + 1).status_code == 200
    world.record()
    assert state_breaches(installation.database) == []
    change(installation.database, "UPDATE consent_state SET state = 'given' WHERE purpose = 'newsletter'")
    ((subject,),) = query(installation.database, "SELECT DISTINCT hex(subject) FROM consent_state")
    assert state_breaches(installation.database) == [f"state given: newsletter of {subject}"]


def carry(site: SimulatorProcess, withdraw: Withdraw) -> RelayResult:
    action = RelayAction("00ff", (EMAIL,), ("newsletter",), 0, 1)
    with OutgoingSession(frozenset({"127.0.0.1"}), allow_loopback=True) as session:
        return withdraw(action, WordPressConnection(site.url, site.secret, session))


def is_still_subscribed(site: SimulatorProcess) -> bool:
    return bool(site.state()["subscribers"][EMAIL]["purposes"] == {"newsletter": "subscribed"})


def test_a_relay_that_believes_without_reading_back_is_caught(site: SimulatorProcess) -> None:
    """A maintenance plugin that answers for the site, and does nothing."""
    lie = {"body": {"outcome": "removed", "reason": None, "adapters": {}}, "path_prefix": "/wp-json/samtykke/v1/with"}
    site.faults([lie | {"count": 2}])
    with pytest.raises(RelayError, match="read_back_failed"):
        carry(site, wordpress.withdraw)
    assert carry(site, withdraw_without_reading_back).outcome == "removed"
    assert is_still_subscribed(site), "what was called done is not"


def test_a_relay_that_follows_a_redirect_is_caught(site: SimulatorProcess) -> None:
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as trap:
        listener = threading.Thread(target=_answer_one, args=(trap, came))
        site.faults([{"redirect": f"http://127.0.0.1:{trap.getsockname()[1]}/", "status": 307, "count": 2}])
        with pytest.raises(RelayError, match="redirect"):
            carry(site, wordpress.withdraw)
        assert came == []
        listener.start()
        carry(site, withdraw_following_redirects)
        listener.join()
    assert EMAIL.encode() in came[0], "the address was sent to a stranger"


def _answer_one(trap: socket.socket, came: list[bytes]) -> None:
    connection, _ = trap.accept()
    with connection:
        connection.settimeout(10)
        received = b""
        while EMAIL.encode() not in received and (chunk := connection.recv(65_536)):
            received += chunk
        came.append(received)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
