"""How a page is made: its language, and what every page shows."""

from functools import cache
from typing import Any

from flask import Response, request, url_for
from jinja2 import Environment, PackageLoader

from schemas.texts import environment
from webhooks.door import Door

# What a browser may ask for, and the language we have for it: nb also answers Norwegian and Nynorsk.
LANGUAGE_OF = {"nb": "nb", "no": "nb", "nn": "nb", "en": "en"}


def asked_language() -> str:
    """Of the request: `nb` or `en`."""
    return LANGUAGE_OF[request.accept_languages.best_match(LANGUAGE_OF, default="nb")]


def page(door: Door, template: str, *, language: str | None = None, status: int = 200, **values: Any) -> Response:
    """A template of webhooks/pages/templates, in the language that the browser asks for."""
    body = (
        _templates(language or asked_language())
        .get_template(template)
        .render(
            controller=door.policy.controller, authority=door.policy.authority, status=status, url_for=url_for, **values
        )
    )
    return Response(body, status, content_type="text/html; charset=utf-8")


@cache
def _templates(language: str) -> Environment:
    return environment(PackageLoader("webhooks.pages"), language, autoescape=True)
