"""A rectification is carried by the person's own addresses: one that was never theirs is somebody else's."""

from dataclasses import replace
from pathlib import Path

from tests.simulators.process import SimulatorProcess
from tests.world import World, settings_for

KARI, OLA = "kari@example.no", "ola@example.no"


def test_whose_address_was_written_by_mistake_keeps_their_customer(tmp_path: Path) -> None:
    (tmp_path / "stripe").mkdir()
    with SimulatorProcess("stripe", tmp_path / "stripe") as stripe:
        people = {KARI: ("cus_kari", "Kari"), OLA: ("cus_ola", "Ola Hansen")}
        customers = [{"id": key, "email": email, "name": name, "metadata": {}} for email, (key, name) in people.items()]
        stripe.seed({"customers": customers})
        settings = settings_for(tmp_path / "world")
        world = World(replace(settings, stripe_api_key="rk_test_1", stripe_api_base=stripe.url))
        world.give(KARI)
        done = world.command("subjects", "rectify", "--email", KARI, "--new-email", OLA)
        assert done.exit_code == 0, done.output  # by mistake
        right = ("--wrong-email", OLA, "--first-name", "Kari", "--last-name", "Nordmann")
        assert world.command("subjects", "rectify", "--email", KARI, *right).exit_code == 0
        while world.carry():
            pass
        held = stripe.state()["customers"]
        assert (held["cus_ola"]["email"], held["cus_ola"]["name"]) == (OLA, "Ola Hansen")
        assert held["cus_kari"]["name"] == "Kari Nordmann"
        world.close()
