"""The page of the privacy notice."""

import re

import pytest

from schemas.notice import format_notice, notice_sha256
from tests.world import World


@pytest.mark.parametrize(("asked", "language"), [("nb", "nb"), ("nn,en;q=0.5", "nb"), ("en-GB", "en"), ("de", "nb")])
def test_it_is_in_the_language_that_is_asked_for(world: World, asked: str, language: str) -> None:
    answer = world.client.get("/privacy", headers={"Accept-Language": asked})
    assert (answer.status_code, answer.headers["Vary"]) == (200, "Accept-Language")
    assert f'<html lang="{language}">' in answer.text
    assert notice_sha256(format_notice(world.policy, language)) in answer.text
    assert answer.text == world.client.get(f"/privacy/{language}").text


def test_it_has_no_script_no_cookie_and_nothing_from_elsewhere(world: World) -> None:
    answer = world.client.get("/privacy/en")
    assert "Set-Cookie" not in answer.headers
    assert "<script" not in answer.text
    assert not re.search(r'(?:src|<link[^>]*href)="https?:', answer.text)
    assert world.client.get("/privacy/de").status_code == 404
