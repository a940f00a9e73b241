"""The mail catcher: what it shows of a real mail, and whom it answers."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from console.launch.catcher import check_allowed, create_catcher
from console.launch.child import RUN_DIR
from console.launch.errors import LaunchError
from tests.world import ROOT, World, settings_for
from workers.mail import compose, spool

KARI = "kari@example.no"


@pytest.fixture
def client(world: World) -> FlaskClient:
    """A person has signed up and confirmed: two mails, the second with a receipt."""
    world.give(KARI)
    world.sign()
    world.carry()
    return create_catcher(world.settings, ROOT).test_client()


def get(client: FlaskClient, path: str) -> str:
    answer = client.get(path, base_url="http://127.0.0.1:8025")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def names(client: FlaskClient) -> list[str]:
    return re.findall(r'href="(/[0-9a-f]+\.eml)"', get(client, "/"))


def test_the_newest_mail_comes_first_and_its_link_can_be_followed(client: FlaskClient, world: World) -> None:
    newest, oldest = names(client)
    assert "receipt.json" in get(client, newest)
    page = get(client, oldest)
    assert KARI in page
    link = f"http://samtykke.example.org{world.link('c')}"
    assert f'<a href="{link}">{link}</a>' in page
    policy = world.policy
    assert policy.controller.contact_url in page
    assert f'href="{policy.controller.contact_url}"' not in page


def test_an_attachment_is_given_to_keep_and_not_to_show(client: FlaskClient, world: World) -> None:
    newest = names(client)[0]
    answer = client.get(f"{newest}/0", base_url="http://127.0.0.1:8025")
    assert answer.headers["Content-Disposition"] == "attachment; filename=receipt.json"
    assert answer.mimetype == "application/octet-stream"
    assert answer.get_json(force=True)["@type"]
    assert client.get(f"{newest}/1", base_url="http://127.0.0.1:8025").status_code == 404


def test_what_a_mail_says_is_text_and_never_markup(world: World) -> None:
    mail = compose("post@example.no", KARI, "0f", "<b>Hei</b>\n\n<script>alert(1)</script>")
    spool(world.settings.mail_spool_dir, "0f", mail)
    client = create_catcher(world.settings, ROOT).test_client()
    for path in ("/", "/0f.eml"):
        assert "&lt;b&gt;Hei" in get(client, path)
        assert "<script>" not in get(client, path)


@pytest.mark.parametrize("path", ["/nobody.eml", "/..%2fsamtykke.db", "/0f.txt", "/%2e%2e/samtykke.db"])
def test_nothing_but_a_mail_of_the_folder_is_read(client: FlaskClient, path: str) -> None:
    assert client.get(path, base_url="http://127.0.0.1:8025").status_code == 404


def test_a_page_of_another_site_learns_nothing(client: FlaskClient) -> None:
    for host in ("evil.example:8025", "127.0.0.1.evil.example"):
        assert client.get("/", base_url=f"http://{host}").status_code == 421
    answer = client.get("/", base_url="http://localhost:8025")
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "<script" not in answer.text
    assert client.post("/", base_url="http://localhost:8025").status_code == 405


def test_it_starts_only_within_make_run_and_only_where_mail_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = replace(settings_for(tmp_path), public_url="http://127.0.0.1:8000")
    monkeypatch.delenv(RUN_DIR, raising=False)
    with pytest.raises(LaunchError, match="belongs to"):
        check_allowed(here)
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    check_allowed(here)
    for elsewhere in ({"mail_transport": "gmail"}, {"public_url": "https://samtykke.example.no"}):
        with pytest.raises(LaunchError, match="nobody's here"):
            check_allowed(replace(here, **elsewhere))
