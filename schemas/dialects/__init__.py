"""Dialects: how each form plugin says who, what and no. A plugin is a row of data plus, where it must, a parser."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.dialects.elementor import read_elementor
from schemas.dialects.fields import Fields, flatten
from schemas.dialects.formidable import read_formidable
from schemas.dialects.forminator import read_forminator
from schemas.dialects.times import parse_offset_time, parse_utc_time, parse_utc_time_with_t
from schemas.dialects.woocommerce import DELIVERY, ID, TOPIC, read_woocommerce

# What an absent consent key means in a dialect (decision 0001, "Unticked").
ALWAYS_SENT, OMITTED, UNSPECIFIED = "always_sent", "omitted", "unspecified"
# How a sender proves itself: each is a verifier of webhooks/signatures.py.
STANDARD, SECRET, WPFORMS, WOOCOMMERCE, WP_WEBHOOKS = "standard", "secret", "wpforms", "woocommerce", "wp_webhooks"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one plugin sends.

    `scheme`: how it proves itself. `unticked`: what an absent consent key means. `content_types`: what it sends; with
    `json_as_form` it says form and may send JSON all the same. `read`: its document as flat fields. `headers`:
    request headers that are read as fields.

    `entry_id`: the field with the number of a submission, unless the form names another. `time_fields`: the fields
    that hold an unambiguous time, which `parse_time` reads to unix ms; None is any that the form names. `separator`:
    between several ticked choices in one text. `topic`, `topics`: the field that says what happened, and what of it
    is heard unless the form says. `technical`: pattern of names that it always sends and nobody needs.
    `never_consent`: pattern of fields or values that are never unticked, so they are no consent.

    `site_header`: the request header that names the site, if one does. `secret_header`: where it puts a secret itself.
    `test_header`: the header (name, value) of a test. `unsigned_ping`: pattern of the body of one that is not signed.
    """

    key: str
    scheme: str
    unticked: str
    content_types: tuple[str, ...] = (JSON, FORM)
    json_as_form: bool = False
    read: Callable[[object], Fields] = flatten
    headers: tuple[str, ...] = ()
    entry_id: str | None = None
    time_fields: tuple[str, ...] | None = ()
    parse_time: Callable[[str], int] = parse_offset_time
    separator: str | None = None
    topic: str | None = None
    topics: tuple[str, ...] = ()
    technical: str = ""
    never_consent: str = ""
    site_header: str | None = "User-Agent"
    secret_header: str | None = None
    test_header: tuple[str, str] | None = None
    unsigned_ping: bytes = b""


_GRAVITY_FORMS = Dialect(
    "gravity_forms",
    SECRET,
    ALWAYS_SENT,
    entry_id="id",
    # UTC without saying so: measured on Gravity Forms 2.10 with another site time zone.
    time_fields=("date_created",),
    parse_time=parse_utc_time,
    technical=r"id|(form|post|source|transaction)_id|(date|payment)_.*|date|is_.*|ip|source_url|url|user_agent|currency"
    r"|created_by|transaction_type|status|submission_speeds|consent_(text|revision)",
)
_WPFORMS = Dialect(
    "wpforms",
    WPFORMS,
    ALWAYS_SENT,
    entry_id="entry_id",
    separator="||",
    technical="form_id|form_name",
    # Its GDPR agreement is always required, and its value is its own label.
    never_consent="I consent to having this website store my submitted information.*",
    site_header=None,  # its User-Agent is "wpforms-webhooks/1.4.0"
)
_CONTACT_FORM_7 = Dialect("contact_form_7", SECRET, ALWAYS_SENT, technical="_.*")
_ELEMENTOR = Dialect(
    "elementor",
    SECRET,
    ALWAYS_SENT,
    content_types=(FORM,),
    read=read_elementor,
    technical="Date|Time|Page URL|User Agent|Remote IP|Powered by|form_id|form_name",
)
_NINJA_FORMS = Dialect("ninja_forms", SECRET, ALWAYS_SENT, json_as_form=True)
_FLUENT_FORMS = Dialect(
    "fluent_forms",
    SECRET,
    OMITTED,
    entry_id="__submission.id",
    technical="_.*",
    never_consent=r"(gdpr-agreement|terms-n-condition)(_\d+)?",
)
_FORMIDABLE = Dialect(
    "formidable",
    SECRET,
    OMITTED,
    read=read_formidable,
    entry_id="id",
    time_fields=("created_at",),  # FrmEntry writes current_time( 'mysql', 1 ): UTC
    parse_time=parse_utc_time,
    technical=r"item_key|name|ip|(form|post|user|parent_item)_id|is_draft|updated_by|(created|updated)_at",
    secret_header="Authorization",  # noqa: S106
)
_FORMINATOR = Dialect(
    "forminator",
    SECRET,
    OMITTED,
    content_types=(JSON,),
    read=read_forminator,
    technical=r"_.*|referer_url|page_id|form_type|form_title|current_url|render_id|entry_time|name_\d+\..*",
    never_consent=r"gdprcheckbox_\d+",
    test_header=("X-Hook-Test", "true"),
)
_WS_FORM = Dialect("ws_form", SECRET, ALWAYS_SENT, entry_id="id", technical="id|hash|token|form_id|date_.*")
_WOOCOMMERCE = Dialect(
    "woocommerce",
    WOOCOMMERCE,
    UNSPECIFIED,
    content_types=(JSON,),
    read=read_woocommerce,
    headers=(ID, TOPIC),
    entry_id=DELIVERY,
    time_fields=("date_created_gmt", "date_modified_gmt"),
    parse_time=parse_utc_time_with_t,
    topic=TOPIC,
    topics=("customer.created", "order.created"),
    technical=r"(?!meta_data\.).*",
    site_header="X-WC-Webhook-Source",
    unsigned_ping=rb"webhook_id=[0-9]{1,20}",
)
_COMPANION = Dialect(
    "companion",
    STANDARD,
    ALWAYS_SENT,
    content_types=(JSON,),
    time_fields=("submitted_at",),
    topic="type",
    topics=("submission",),
    technical="type|site|plugin|form|entry|submitted_at",
)

DIALECTS: Mapping[str, Dialect] = {
    dialect.key: dialect
    for dialect in (
        Dialect("generic", STANDARD, UNSPECIFIED, time_fields=None),
        _COMPANION,
        _GRAVITY_FORMS,
        _WPFORMS,
        _CONTACT_FORM_7,
        _ELEMENTOR,
        _NINJA_FORMS,
        _FLUENT_FORMS,
        _FORMIDABLE,
        _FORMINATOR,
        Dialect("jetpack_forms", SECRET, ALWAYS_SENT),
        _WS_FORM,
        Dialect("wp_webhooks", WP_WEBHOOKS, UNSPECIFIED),
        _WOOCOMMERCE,
    )
}
