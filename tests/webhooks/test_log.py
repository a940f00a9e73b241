"""What the door writes to its log while it is sent everything: no canary, no secret, no token."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.world import FORM_SECRET, ROOT, SIGNED_SECRET, STRIPE_SECRET

# A process of its own, because a log goes to the standard output that its process started with.
PROGRAM = """
import sys
import time
from dataclasses import replace
from pathlib import Path
from tests.webhooks.test_refusals import ADDRESS, SYNTAX_CASES, cases, send
from tests.webhooks.test_faults import BODY, TOKEN, CF7
from tests.webhooks.pages import ONE_CLICK
from tests.world import World, checkout_event, settings_for
from app import create_app

world = World(settings_for(Path(sys.argv[1]), log_level="DEBUG"))
for case in (cases(int(time.time())) | SYNTAX_CASES).values():
    send(world, case)
world.give(ADDRESS)
token = world.link("w").removeprefix("/w/")
world.client.get(world.link("w"))
world.client.post(world.link("w"), data=ONE_CLICK)
world.post_signed("newsletter", {"newsletter": ADDRESS})
world.post_stripe(checkout_event(address=ADDRESS))
world.record()
broken = create_app(replace(world.settings, database_url=f"sqlite:///{sys.argv[1]}/kanari7f3a.db"))
broken.test_client().post(CF7, json=BODY, headers=TOKEN)
broken.extensions["door"].database.close()
world.close()
print(token, file=sys.stderr)
"""


def test_the_log_holds_nothing_that_was_sent(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"refused", "recorded", "database_away"} <= {line["event"] for line in lines}
    token = done.stderr.split()[-1]
    for secret in ("kanari7f3a", "example.test", "nordmann", FORM_SECRET, SIGNED_SECRET, STRIPE_SECRET, token):
        assert secret.lower() not in done.stdout.lower()
