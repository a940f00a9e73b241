"""Website forms: verify, parse, understand, accept. Exactly 200 on success: Elementor takes nothing else for one."""

import re
from collections.abc import Callable, Iterable, Mapping

from flask import Blueprint, Response, jsonify, request

from ledger.reception import Signed
from schemas.dialects import DIALECTS, STANDARD, WOOCOMMERCE, WP_WEBHOOKS, WPFORMS, Dialect
from schemas.dialects.body import parse_submission
from schemas.log_line import log
from schemas.policy import Form
from schemas.refusal import Refused
from schemas.strict_json import SyntaxRefused
from schemas.understanding import FORM_PREFIX
from webhooks.answers import answer
from webhooks.door import Door
from webhooks.requests import content_type, raw_body
from webhooks.routes import verified
from webhooks.signatures import (
    verify_secret,
    verify_standard,
    verify_woocommerce,
    verify_wp_webhooks,
    verify_wpforms,
)

_SITE = re.compile(r"\bhttps?://([A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?)")
# Where WP Engine keeps the copies of a site, with all its secrets.
_STAGING = (".wpengine.com", ".wpenginepowered.com")

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
    dialect = DIALECTS[form.dialect]
    raw = raw_body(request)
    # A plugin's own test that it cannot sign. It wants 200, and leaves nothing here.
    if dialect.unsigned_ping and re.fullmatch(dialect.unsigned_ping, raw):
        return _ignored(form)
    signed = _verify(door, form, dialect, raw, path_secret)
    media_type = content_type(request, dialect.content_types)
    if dialect.test_header and request.headers.get(dialect.test_header[0]) == dialect.test_header[1]:
        return _ignored(form)  # an invented person: not even parked
    try:
        document = parse_submission(dialect, raw, media_type, request.headers.get)
    except SyntaxRefused as refused:
        raise Refused(400, refused.reason) from None
    return answer(door.receive(FORM_PREFIX + form.key, document, signed))


def _ignored(form: Form) -> Response:
    log.info("form_tested", source=FORM_PREFIX + form.key)
    return jsonify(status="ignored")


def _verify(door: Door, form: Form, dialect: Dialect, raw: bytes, path_secret: str | None) -> Signed:
    secrets = door.settings.form_secrets.get(form.key, ())
    verify = _VERIFIERS.get(dialect.scheme)
    if verify is None:
        signed = verify_secret(path_secret or _presented(form.secret_header), secrets)
    else:
        signed = verify(raw, secrets, door.clock())
    _check_site(form, dialect)
    return signed


def _presented(header: str) -> str:
    """The secret in a header; in Authorization it is the user of Basic (as Formidable sends it) or a Bearer token."""
    credentials = request.authorization if header.lower() == "authorization" else None
    if credentials is None:
        return request.headers.get(header, "")
    return credentials.token or credentials.get("username") or ""


def _check_site(form: Form, dialect: Dialect) -> None:
    """The site that the sender names in `dialect.site_header` must be one that the form names, if it names any.

    WordPress writes it into each User-Agent: "WordPress/6.8; https://www.example.no" (class-wp-http.php). It
    can be forged by whoever holds the secret; what this stops is a copy of the site that still sends.
    """
    found = _SITE.search(request.headers.get(dialect.site_header or "", ""))
    site = found.group(1).lower() if found else ""
    if site in form.sites:
        return
    if form.sites or site.split(":")[0].endswith(_STAGING):
        raise Refused(401, "site_not_allowed")
