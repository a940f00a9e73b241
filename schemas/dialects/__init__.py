"""Dialects: how each form plugin says who, what and no. A plugin is a row of data plus, where it must, a parser."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.dialects.fields import Fields, flatten
from schemas.dialects.times import parse_offset_time, parse_utc_time

# What an absent consent key means in a dialect (decision 0001, "Unticked").
ALWAYS_SENT, OMITTED, UNSPECIFIED = "always_sent", "omitted", "unspecified"
# How a sender proves itself: each is a verifier of webhooks/signatures.py.
STANDARD, SECRET, WPFORMS, WOOCOMMERCE, WP_WEBHOOKS = "standard", "secret", "wpforms", "woocommerce", "wp_webhooks"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one plugin sends.

    `scheme`: how it proves itself. `unticked`: what an absent consent key means. `read`: its document as flat fields.
    `content_types`: what it sends; with `json_as_form` it says form and may send JSON all the same. `entry_id`: the
    field with the number of a submission, unless the form names another. `time_fields`: the fields that hold an
    unambiguous time, which `parse_time` reads to unix ms; None is any that the form names. `technical`: pattern of
    the names that it always sends and nobody needs. `never_consent`: pattern of the fields that cannot be unticked.
    `separator`: between several ticked choices in one text. `headers`: request headers that are read as fields.
    `site_header`: the request header that names the site. `test_header`: a request header (name, value) that marks a
    test. `topic`: the field that says what happened. `secret_header`: where the secret stands by default.
    """

    key: str
    scheme: str
    unticked: str
    read: Callable[[object], Fields] = flatten
    content_types: tuple[str, ...] = (JSON, FORM)
    json_as_form: bool = False
    entry_id: str | None = None
    time_fields: tuple[str, ...] | None = ()
    parse_time: Callable[[str], int] = parse_offset_time
    technical: str = ""
    never_consent: str = ""
    separator: str | None = None
    headers: tuple[str, ...] = ()
    site_header: str | None = "User-Agent"
    test_header: tuple[str, str] | None = None
    topic: str | None = None
    secret_header: str = "X-Gdpr-Token"  # noqa: S105 - the name of the header, not its value


DIALECTS: Mapping[str, Dialect] = {
    dialect.key: dialect
    for dialect in (
        Dialect("generic", STANDARD, UNSPECIFIED, time_fields=None),
        Dialect("companion", STANDARD, ALWAYS_SENT, content_types=(JSON,)),
        # "date_created" is UTC without saying so: measured on Gravity Forms 2.10 with another site time zone.
        Dialect(
            "gravity_forms",
            SECRET,
            ALWAYS_SENT,
            entry_id="id",
            time_fields=("date_created",),
            parse_time=parse_utc_time,
        ),
        Dialect("wpforms", WPFORMS, ALWAYS_SENT, entry_id="entry_id", separator="||", site_header=None),
        Dialect("contact_form_7", SECRET, ALWAYS_SENT, content_types=(JSON,)),
        Dialect("elementor", SECRET, ALWAYS_SENT, content_types=(FORM,)),
        Dialect("ninja_forms", SECRET, ALWAYS_SENT, json_as_form=True),
        Dialect("fluent_forms", SECRET, OMITTED, entry_id="__submission.id"),
        Dialect("formidable", SECRET, OMITTED, entry_id="id", secret_header="Authorization"),  # noqa: S106
        Dialect("forminator", SECRET, OMITTED, content_types=(JSON,), test_header=("X-Hook-Test", "true")),
        Dialect("jetpack_forms", SECRET, ALWAYS_SENT),
        Dialect("ws_form", SECRET, ALWAYS_SENT),
        Dialect("wp_webhooks", WP_WEBHOOKS, UNSPECIFIED),
        Dialect(
            "woocommerce",
            WOOCOMMERCE,
            UNSPECIFIED,
            content_types=(JSON,),
            entry_id="delivery",
            headers=("X-WC-Webhook-ID", "X-WC-Webhook-Topic"),
            site_header="X-WC-Webhook-Source",
        ),
    )
}
