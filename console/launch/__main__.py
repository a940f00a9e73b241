"""`python -m console.launch`: runs the service for development; with --curl prints a signed sign-up."""

import os
import sys
import time
from pathlib import Path

import click

from console.launch.errors import LaunchError
from console.launch.preparation import Plan, prepare
from console.launch.simulators import seed_groups
from console.launch.supervision import Stopper, supervise
from console.launch.welcome import signed_curl, welcome
from schemas.settings import SettingsError, load_settings


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def greet(plan: Plan) -> str:
    """Called once, when the service is ready: the last preparation, and the text to show."""
    google = plan.policy.processors.get("google")
    if google and "google" in plan.development.ports:
        try:
            seed_groups(plan.development.ports["google"], google.groups.values())
        except LaunchError as error:
            click.echo(f"samtykke: {error}", err=True)
    return welcome(plan.settings, now_ms(), plan.mail_port)


@click.command()
@click.option("--curl", is_flag=True, help="Print a signed sign-up to send, and stop.")
def main(curl: bool) -> None:
    """Run the Procfile on this machine, with an embedded queue and simulated processors."""
    root = Path.cwd()
    try:
        if curl:
            click.echo(signed_curl(load_settings(root), now_ms()))
            return
        stopper = Stopper()
        os.umask(0o077)
        plan = prepare(root, dict(os.environ))
        supervise(plan, stopper, lambda: greet(plan))
    except (LaunchError, SettingsError) as error:
        click.echo(f"samtykke: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
