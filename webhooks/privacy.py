"""The privacy notice as a page: the text that policy.toml makes, and nothing that it does not say."""

from flask import Blueprint, Response, make_response, render_template, request

from schemas.message import LANGUAGES
from schemas.notice import blocks, format_notice, notice_sha256
from webhooks.door import Door
from webhooks.links import LANGUAGE_OF

CACHE = "public, max-age=300"


def privacy_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("privacy", __name__)
    texts = {language: format_notice(door.policy, language) for language in LANGUAGES}

    @blueprint.get("/privacy")
    def notice() -> Response:
        """In the language that the browser asks for."""
        response = _page(LANGUAGE_OF[request.accept_languages.best_match(LANGUAGE_OF, default="nb")])
        response.vary.add("Accept-Language")
        return response

    @blueprint.get("/privacy/<any(nb, en):language>")
    def notice_in(language: str) -> Response:
        return _page(language)

    def _page(language: str) -> Response:
        body = render_template(
            "privacy.html",
            language=language,
            controller=door.policy.controller,
            authority=door.policy.authority,
            blocks=list(blocks(texts[language])),
            sha256=notice_sha256(texts[language]),
        )
        response = make_response(body)
        response.headers["Cache-Control"] = CACHE
        return response

    return blueprint
