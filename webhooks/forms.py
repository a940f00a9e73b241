"""Website forms: verify, parse, understand, accept. Exactly 200 on success: Elementor takes nothing else for one."""

import re
from collections.abc import Callable, Iterable, Mapping

from flask import Blueprint, Response, request

from ledger.reception import Signed
from schemas.dialects import DIALECTS, STANDARD, WOOCOMMERCE, WP_WEBHOOKS, WPFORMS
from schemas.policy import Form
from schemas.refusal import Refused
from schemas.understanding import FORM_PREFIX
from webhooks.answers import answer
from webhooks.door import Door
from webhooks.requests import FORM, JSON, content_type, parse_body, raw_body
from webhooks.routes import verified
from webhooks.signatures import (
    verify_secret,
    verify_standard,
    verify_woocommerce,
    verify_wp_webhooks,
    verify_wpforms,
)

_SITE = re.compile(r"\bhttps?://([A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?)")

# The schemes that sign; the rest present a secret, in a header or in the path.
_VERIFIERS: Mapping[str, Callable[[bytes, Iterable[str], int], Signed]] = {
    STANDARD: lambda raw, secrets, now_ms: verify_standard(raw, request.headers.get, secrets, now_ms),
    WPFORMS: lambda raw, secrets, now_ms: verify_wpforms(raw, request.mimetype, request.headers.get, secrets, now_ms),
    WOOCOMMERCE: lambda raw, secrets, _: verify_woocommerce(raw, request.headers.get, secrets),
    WP_WEBHOOKS: lambda raw, secrets, _: verify_wp_webhooks(raw, request.headers.get, secrets),
}


def forms_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("forms", __name__)

    @blueprint.post("/webhooks/forms/<form_key>")
    @verified
    def receive(form_key: str) -> Response:
        return _receive(door, form_key, None)

    @blueprint.post("/webhooks/forms/<form_key>/<secret>")
    @verified
    def receive_with_secret(form_key: str, secret: str) -> Response:
        return _receive(door, form_key, secret)

    return blueprint


def _receive(door: Door, form_key: str, path_secret: str | None) -> Response:
    form = door.policy.forms.get(form_key)
    if form is None:
        raise Refused(404, "form_unknown")
    raw = raw_body(request)
    signed = _verify(door, form, raw, path_secret)
    document = parse_body(raw, content_type(request, (JSON, FORM)))
    return answer(door.receive(FORM_PREFIX + form.key, document, signed))


def _verify(door: Door, form: Form, raw: bytes, path_secret: str | None) -> Signed:
    secrets = door.settings.form_secrets.get(form.key, ())
    verify = _VERIFIERS.get(DIALECTS[form.dialect].scheme)
    if verify is None:
        signed = verify_secret(path_secret or request.headers.get(form.secret_header, ""), secrets)
    else:
        signed = verify(raw, secrets, door.clock())
    if form.sites and _site() not in form.sites:
        raise Refused(401, "site_not_allowed")
    return signed


def _site() -> str | None:
    """The host that WordPress names in its User-Agent: "WordPress/6.8; https://www.example.no".

    It can be forged by whoever holds the secret; what it stops is a copy of the site that still sends (wp-includes/
    class-wp-http.php sets it on every request).
    """
    found = _SITE.search(request.headers.get("User-Agent", ""))
    return found.group(1).lower() if found else None
