"""The privacy notice as a page: the text that policy.toml makes, and nothing that it does not say."""

from flask import Blueprint, Response

from schemas.message import LANGUAGES
from schemas.notice import blocks, format_notice, notice_sha256
from webhooks.door import Door
from webhooks.pages.rendering import asked_language, page

CACHE = "public, max-age=300"


def privacy_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("privacy", __name__)
    texts = {language: format_notice(door.policy, language) for language in LANGUAGES}

    @blueprint.get("/privacy")
    def notice() -> Response:
        """In the language that the browser asks for."""
        response = _page(asked_language())
        response.vary.add("Accept-Language")
        return response

    @blueprint.get("/privacy/<any(nb, en):language>")
    def notice_in(language: str) -> Response:
        return _page(language)

    def _page(language: str) -> Response:
        text = texts[language]
        made = list(blocks(text))
        response = page(door, "privacy.html", language=language, blocks=made, sha256=notice_sha256(text))
        response.headers["Cache-Control"] = CACHE
        return response

    return blueprint
