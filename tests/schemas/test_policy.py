"""policy.toml: the shipped file says what the privacy policy says, and a broken one names every mistake."""

import copy
import dataclasses
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import schemas.policy
from schemas.dialects import DIALECTS
from schemas.policy import ConsentField, Policy, PolicyError, Text, load_policy
from schemas.policy_schema import check_document

SHIPPED = Path(__file__).parents[2] / "policy.toml"
PURPOSES = ("newsletter", "offers", "information", "profiling")
PERSONAL_DATA = ("email", "first_name", "last_name", "company")
SMALL = """
version = "1"
role_mailboxes = ["post"]

[controller]
name = "Eksempel AS"
country = "NO"
contact_url = "https://www.example.no/kontakt"

[authority]
name = "Tilsynet"
url = "https://authority.example.org"
dpv = "legal-no:DPA-NO"

[purposes.newsletter]
name = { nb = "Nyhetsbrev", en = "Newsletter" }
description = { nb = "Nytt fra oss.", en = "News from us." }
dpv = "dpv:DirectMarketing"
legal_basis = "eu-gdpr:A6-1-a"
double_opt_in = true

[purposes.profiling]
name = { nb = "Profil", en = "Profile" }
description = { nb = "En profil.", en = "A profile." }
dpv = "dpv:Personalisation"
legal_basis = "eu-gdpr:A6-1-a"
double_opt_in = true

[personal_data.email]
name = { nb = "E-post", en = "E-mail" }
dpv = "pd:EmailAddress"
required = true

[processors.google]
name = "Google"
role = "mail"
region = "unknown"
holds = ["email"]
actions = ["withdraw"]
groups = { newsletter = "news@example.no" }
[[processors.google.residual]]
what = { nb = "Kopier", en = "Copies" }
days = 180
source = "https://www.example.org/retention"
formula = "erased_at + 180 days"

[notices.first]
published_at = "2026-11-23"
url = "https://www.example.no/personvern"

[forms.sign-up]
dialect = "contact_form_7"
intent = "consent"
fields = { email = "your-email" }
notice = "first"
[[forms.sign-up.consent]]
field = "agree"
accepted = ["1"]
purposes = ["newsletter"]

[forms.leave]
dialect = "generic"
intent = "withdrawal"
fields = { email = "email" }

[stripe]
metadata_keys = ["news"]
[[stripe.consent]]
kind = "metadata"
key = "news"
accepted = ["yes"]
purposes = ["newsletter"]
"""

WHOLE_NUMBER = "must be a whole number from 1 to 9999"
NOT_A_YES = "must not be empty or a way of saying no"
BOX = '[[forms.sign-up.consent]]\nfield = "agree"\naccepted = ["1"]\n'
LEAVE = '{ email = "email" }'
# What stands in SMALL, what replaces it, and the one error that follows.
BROKEN = [
    ('version = "1"', "", "version: missing"),
    ('version = "1"', "version = 1", "version: must be text in quotes"),
    ('version = "1"', 'version = "1"\ncolour = "red"', "colour: unknown key"),
    ('["post"]', '["Post@"]', "role_mailboxes.0: must be what stands before @, in lower case"),
    ('["post"]', '"post"', "role_mailboxes: must be a list"),
    ('"Eksempel AS"', "''", "controller.name: must be 1 to 500 characters on one line, with no space at the ends"),
    ('"NO"', '"Norway"', "controller.country: must be two capital letters (ISO 3166-1)"),
    ("https://www.example.no/k", "http://k", "controller.contact_url: must be an address that begins with https://"),
    (', en = "Newsletter"', "", "purposes.newsletter.name.en: missing"),
    ("dpv:DirectMarketing", "News", "purposes.newsletter.dpv: must be a vocabulary term such as dpv:Marketing"),
    ("double_opt_in = true\n\n[purposes", "[purposes", "purposes.newsletter.double_opt_in: missing"),
    (
        "double_opt_in = true\n\n[personal",
        "double_opt_in = 1\n[personal",
        "purposes.profiling.double_opt_in: must be true or false",
    ),
    ("[notices.first]", "[personal_data.phone]\n[notices.first]", "personal_data.phone: unknown key"),
    (
        "required = true",
        "required = false",
        "personal_data.email.required: must be true, for the address tells who it is",
    ),
    ('["email"]', '["phone"]', "processors.google.holds.0: must be one of: email, first_name, last_name, company"),
    (
        '["withdraw"]',
        '["forget"]',
        "processors.google.actions.0: must be one of: give, withdraw, rectify, restrict, erase, export, product_access",
    ),
    ("[notices.first]", "[processors.other]\n[notices.first]", "processors.other: unknown key"),
    ("news@example.no", "news", "processors.google.groups.newsletter: must be an e-mail address"),
    ("{ newsletter = ", "{ weather = ", "processors.google.groups: names something that is not in [purposes]"),
    (
        '"news@example.no"',
        '"news@example.no", profiling = "News@example.no"',
        "processors.google.groups: two purposes share a group",
    ),
    ("days = 180", "days = 0", f"processors.google.residual.0.days: {WHOLE_NUMBER}"),
    ("days = 180", "days = 1.5", f"processors.google.residual.0.days: {WHOLE_NUMBER}"),
    ('"2026-11-23"', '"23.11.2026"', "notices.first.published_at: must be a date such as 2026-11-23"),
    ("[forms.leave]", "[forms.Leave]", "forms.Leave: must be 1 to 60 of a-z, 0-9 and -"),
    ("[forms.leave]", f"[forms.{'a' * 61}]", f"forms.{'a' * 61}: must be 1 to 60 of a-z, 0-9 and -"),
    ("contact_form_7", "mailpoet", "forms.sign-up.dialect: must be one of: " + ", ".join(DIALECTS)),
    ('"consent"', '"buy"', "forms.sign-up.intent: must be one of: consent, withdrawal, request"),
    ('intent = "consent"\n', "", "forms.sign-up.intent: missing"),
    (
        'intent = "withdrawal"',
        'intent = "request"',
        "forms.leave.right: must be there for the intent `request`, and for no other",
    ),
    (
        'intent = "withdrawal"',
        'intent = "withdrawal"\nright = "erasure"',
        "forms.leave.right: must be there for the intent `request`, and for no other",
    ),
    (
        'intent = "withdrawal"',
        'intent = "request"\nright = "silence"',
        "forms.leave.right: must be one of: access, rectification, erasure, restriction, objection, portability",
    ),
    (
        'intent = "withdrawal"',
        'intent = "withdrawal"\nintent_field = "kind"',
        "forms.leave.intent: is either fixed or chosen by intent_field",
    ),
    (
        'intent = "withdrawal"',
        'intent_field = "kind"',
        "forms.leave.intent_field: needs [[choice]], and [[choice]] needs it",
    ),
    (LEAVE, f"{LEAVE}\ntopics = ['x']", "forms.leave.topics: this dialect has no topics"),
    (
        "contact_form_7",
        'wpforms"\nsites = ["www.example.no"]\nlanguage = "nb',
        "forms.sign-up.sites: this dialect does not say which site it sends from",
    ),
    ('email = "your-email"', "", "forms.sign-up.fields.email: missing"),
    ('"your-email"', '"your-email", phone = "tel"', "forms.sign-up.fields.phone: unknown key"),
    (
        '"your-email"',
        '"your-email", company = "firm"',
        "forms.sign-up.fields: names something that is not in [personal_data]",
    ),
    ('notice = "first"', 'notice = "new"', "forms.sign-up.notice: names something that is not in [notices]"),
    ('notice = "first"', 'time_field = "_date"', "forms.sign-up.time_field: is not a time in UTC in this dialect"),
    ('notice = "first"', 'sites = ["https://a.no/"]', "forms.sign-up.sites.0: must be a host such as www.example.no"),
    ('notice = "first"', 'secret_header = "X: y"', "forms.sign-up.secret_header: must be the name of a header"),
    ('notice = "first"', 'language = "sv"', "forms.sign-up.language: must be one of: nb, en"),
    (
        'notice = "first"',
        'purposes = ["newsletter", "profiling"]',
        "forms.sign-up.purposes: must be what the consent fields cover, or be left out",
    ),
    (BOX + 'purposes = ["newsletter"]', "", "forms.sign-up.consent: missing"),
    ('["1"]', "[]", "forms.sign-up.consent.0.accepted: must have 1 to 100 values"),
    ('["1"]', '["1", "1"]', "forms.sign-up.consent.0.accepted: repeats a value"),
    ('["1"]', "[true]", "forms.sign-up.consent.0.accepted.0: must be text in quotes"),
    ('["1"]', '["1", "Not Checked"]', f"forms.sign-up.consent.0.accepted.1: {NOT_A_YES}"),
    ('["1"]', '[""]', f"forms.sign-up.consent.0.accepted.0: {NOT_A_YES}"),
    (
        BOX,
        BOX + f'purposes = ["profiling"]\n{BOX}',
        "forms.sign-up.consent.1.accepted: repeats a value of an earlier consent field with the same name",
    ),
    (LEAVE, f"{LEAVE}\npurposes = ['x']", "forms.leave.purposes: names something that is not in [purposes]"),
    (
        LEAVE,
        f'{LEAVE}\nsecret_header = "X-Token"',
        "forms.leave.secret_header: this dialect is signed and has no secret header",
    ),
    (
        LEAVE,
        f"{LEAVE}\n{BOX.replace('sign-up', 'leave')}purposes = ['newsletter']",
        "forms.leave.consent: belongs to the intent `consent` only",
    ),
    ('"metadata"', '"terms_of_service"', "stripe.consent.0.kind: must be one of: custom_field, metadata"),
    ('["news"]', "[]", "stripe.consent.0.key: is not one of stripe.metadata_keys, so it would be dropped"),
    ("[stripe]", "[retention]\nforever = 1\n[stripe]", "retention.forever: unknown key"),
    ("[stripe]", "[deadlines]\nbreach_hours = -1\n[stripe]", f"deadlines.breach_hours: {WHOLE_NUMBER}"),
]


def load(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return load_policy(path)


def refused(tmp_path: Path, *changes: tuple[str, str]) -> PolicyError:
    text = SMALL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(PolicyError) as caught:
        load(tmp_path, text)
    return caught.value


@pytest.fixture(scope="module")
def shipped() -> Policy:
    return load_policy(SHIPPED)


@pytest.mark.parametrize(("old", "new", "line"), BROKEN, ids=[line.split(":")[0] for _, _, line in BROKEN])
def test_it_names_the_path_of_a_mistake(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert str(refused(tmp_path, (old, new))) == line


def test_it_names_every_mistake_at_once_sorted_by_path(tmp_path: Path) -> None:
    error = refused(
        tmp_path,
        ('email = "your-email"', ""),
        ('"NO"', '"no"'),
        ('notice = "first"', 'notice = "new"'),
        ("[forms.leave]", '[forms.Leave]\nlanguage = "sv"'),
        ('version = "1"', ""),
    )
    assert error.errors == (
        ("controller.country", "must be two capital letters (ISO 3166-1)"),
        ("forms.Leave", "must be 1 to 60 of a-z, 0-9 and -"),
        ("forms.Leave.language", "must be one of: nb, en"),
        ("forms.sign-up.fields.email", "missing"),
        ("forms.sign-up.notice", "names something that is not in [notices]"),
        ("version", "missing"),
    )
    assert str(error).splitlines()[3] == "forms.sign-up.fields.email: missing"
    assert error.reason == "policy_invalid"


def test_a_tick_for_profiling_may_cover_nothing_else(tmp_path: Path) -> None:
    bundled = ('purposes = ["newsletter"]', 'purposes = ["newsletter", "profiling"]')
    alone = "profiling needs a consent field of its own"
    form = refused(tmp_path, bundled)
    assert form.errors == (("forms.sign-up.consent.0.purposes", alone),)
    both = refused(tmp_path, bundled, bundled)
    assert both.errors[1] == ("stripe.consent.0.purposes", alone)
    separate = SMALL.replace('["newsletter"]', '["profiling"]')
    assert load(tmp_path, separate).forms["sign-up"].purposes == ("profiling",)


CHOICES = """intent_field = "kind"
[[forms.leave.choice]]
accepted = ["stop"]
intent = "withdrawal"
purposes = ["newsletter"]
[[forms.leave.choice]]
accepted = ["all my data", "copy"]
intent = "request"
right = "access"
"""


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('["stop"]', '["copy"]', "forms.leave.choice.1.accepted: repeats a value of an earlier choice"),
        ('["stop"]', '["kind", "kind"]', "forms.leave.choice.0.accepted: repeats a value"),
        ('intent = "request"', 'intent = "consent"', "forms.leave.consent: missing"),
        (
            'right = "access"\n',
            "",
            "forms.leave.choice.1.right: must be there for the intent `request`, and for no other",
        ),
        (
            '["newsletter"]\n[[forms.leave.choice]]',
            '["weather"]\n[[forms.leave.choice]]',
            "forms.leave.choice.0.purposes: names something that is not in [purposes]",
        ),
        (
            'right = "access"',
            'right = "access"\npurposes = ["newsletter"]',
            "forms.leave.choice.1.purposes: belongs to the intent `withdrawal` only",
        ),
    ],
)
def test_it_names_the_path_of_a_mistake_in_a_choice(tmp_path: Path, old: str, new: str, line: str) -> None:
    whole = SMALL.replace('intent = "withdrawal"\n', "").replace(LEAVE, f"{LEAVE}\n{CHOICES}")
    leave = load(tmp_path, whole).forms["leave"]
    assert [(one.intent, one.right, one.purposes) for one in leave.choice] == [
        ("withdrawal", None, ("newsletter",)),
        ("request", "access", ("newsletter", "profiling")),
    ]
    assert old in whole
    with pytest.raises(PolicyError) as caught:
        load(tmp_path, whole.replace(old, new, 1))
    assert line in str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("dialect", "field", "accepted"),
    [
        ("wpforms", "gdpr", "I consent to having this website store my submitted information so they can respond."),
        ("forminator", "gdprcheckbox_1", "true"),
        ("fluent_forms", "gdpr-agreement", "on"),
        ("fluent_forms", "terms-n-condition_1", "on"),
    ],
)
def test_what_a_plugin_never_lets_anybody_untick_is_no_consent(
    tmp_path: Path, dialect: str, field: str, accepted: str
) -> None:
    changes = (("contact_form_7", dialect), ('"agree"', f'"{field}"'), ('["1"]', f'["{accepted}"]'))
    finding = ("forms.sign-up.consent.0", "is always ticked in this dialect, so it is no consent")
    assert refused(tmp_path, *changes).errors == (finding,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[forms", "is not TOML: "),
        (b'version = "1"\nversion = "2"', "is not TOML: "),
        ("navn = 'ø'".encode("latin-1"), "is not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_one_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(content)
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert [where for where, _ in caught.value.errors] == ["file"]
    assert caught.value.errors[0][1].startswith(message)


def test_a_file_that_is_not_there_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="file: cannot be read"):
        load_policy(tmp_path / "nowhere.toml")


def test_a_byte_order_mark_from_windows_is_accepted(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff" + SMALL).version == "1"


def test_what_is_left_out_has_the_documented_value(tmp_path: Path) -> None:
    policy = load(tmp_path, SMALL.split("[stripe]")[0])
    form = policy.forms["sign-up"]
    assert (form.secret_header, form.sites, form.language) == ("X-Gdpr-Token", (), "nb")
    assert (form.entry_id, form.time_field) == (None, None)
    assert form.purposes == ("newsletter",)
    assert policy.forms["leave"].purposes == ("newsletter", "profiling")
    assert dataclasses.astuple(policy.stripe) == ((), ())
    assert policy.notices["first"].sha256 is None
    assert dataclasses.astuple(policy.retention) == (7, 30, 3, 5, 30)
    assert dataclasses.astuple(policy.deadlines) == (1, 2, 48, 7, 72)
    assert (policy.profile, policy.rights.by_operator) == ({}, ())


def test_the_reference_table_has_every_key_of_every_section_and_no_other() -> None:
    page = (SHIPPED.parent / "docs/reference/policy.md").read_text(encoding="utf-8").partition("## Dialects")[0]
    rows = [row.split("|") for row in page.splitlines() if row.startswith("| ")]
    told = set(re.findall(r"[a-z_0-9]+", " ".join(re.sub("<.*?>", "", row[1] + row[2]) for row in rows[1:])))
    shapes = [item for item in vars(schemas.policy).values() if dataclasses.is_dataclass(item) and item is not Text]
    names = {field.name for shape in shapes for field in dataclasses.fields(shape)}
    assert told == names | {"top"}


def test_a_policy_cannot_be_changed_after_loading(shipped: Policy) -> None:
    tables = (shipped.purposes, shipped.personal_data, shipped.processors, shipped.notices, shipped.forms)
    for table in (*tables, shipped.forms["newsletter"].fields, shipped.processors["google"].groups):
        with pytest.raises(TypeError):
            table["more"] = None  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        shipped.version = "2"  # type: ignore[misc]


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


@pytest.mark.parametrize("junk", [3, "", "x", True, [], {}, [[]], [{}], {"x": [{}]}], ids=repr)
def test_no_wrong_shape_anywhere_is_more_than_a_finding(junk: object) -> None:
    document = tomllib.loads(SMALL)
    for *above, last in places(document):
        broken = copy.deepcopy(document)
        node = broken
        for key in above:
            node = node[key]
        node[last] = copy.deepcopy(junk)
        _, findings = check_document(broken)
        if junk == 3 and last != "days":
            assert ".".join(map(str, (*above, last))) in {path for path, _ in findings}


# The sentences of the privacy policy that the shipped file must keep.


def test_the_shipped_controller_is_as_the_policy_says_and_nothing_is_invented(shipped: Policy) -> None:
    assert (shipped.controller.name, shipped.controller.country) == ("Vizpro AS", "NO")
    assert shipped.controller.contact_url == "https://vizpro.no/om-oss/"
    assert (shipped.controller.postal_address, shipped.controller.email) == (None, None)
    assert shipped.authority.name == "Datatilsynet"
    assert {notice.sha256 for notice in shipped.notices.values()} == {None}


def test_newsletter_offers_information_and_profiling_are_four_confirmed_consents(shipped: Policy) -> None:
    assert tuple(shipped.purposes) == PURPOSES
    assert {purpose.legal_basis for purpose in shipped.purposes.values()} == {"eu-gdpr:A6-1-a"}
    assert all(purpose.double_opt_in for purpose in shipped.purposes.values())


def test_only_the_four_named_kinds_of_data_are_stored_and_only_the_address_is_needed(shipped: Policy) -> None:
    assert tuple(shipped.personal_data) == PERSONAL_DATA
    assert [key for key, data in shipped.personal_data.items() if data.required] == ["email"]


def test_the_three_suppliers_are_named_with_what_remains_after_an_erasure(shipped: Policy) -> None:
    residual = {key: [item.days for item in it.residual] for key, it in shipped.processors.items()}
    assert residual == {"wordpress": [60], "stripe": [None], "google": [55, 235]}
    rights = ("give", "withdraw", "rectify", "restrict", "erase", "export")
    assert {key: one.actions for key, one in shipped.processors.items()} == {
        "wordpress": (*rights, "product_access"),
        "stripe": rights,
        "google": rights,
    }
    assert tuple(shipped.processors["google"].groups) == PURPOSES[:3]
    assert all(group.endswith("@example.no") for group in shipped.processors["google"].groups.values())


def test_no_shipped_box_covers_more_than_one_purpose(shipped: Policy) -> None:
    grants = [grant for form in shipped.forms.values() for grant in form.consent]
    assert {len(grant.purposes) for grant in grants} == {1}
    assert {grant.purposes for grant in shipped.stripe.consent} == {("newsletter",)}
    assert [grant.field for grant in grants if grant.purposes == ("profiling",)] == ["profiling"]


@pytest.mark.parametrize(
    ("key", "fields", "consent", "entry_id", "time_field"),
    [
        ("newsletter-gravity-forms", ("2", "1.3", "1.6", "3"), ("5.1", "1"), "id", "date_created"),
        ("newsletter-gravity-forms-selected", PERSONAL_DATA, ("consent", "Checked"), "entry_id", None),
        (
            "newsletter-contact-form-7",
            ("your-email", "first-name", "last-name", "company"),
            ("gdpr-consent", "1"),
            None,
            None,
        ),
    ],
)
def test_the_shipped_plugin_forms_match_what_the_plugins_send(
    shipped: Policy,
    key: str,
    fields: tuple[str, ...],
    consent: tuple[str, str],
    entry_id: str | None,
    time_field: str | None,
) -> None:
    form = shipped.forms[key]
    assert dict(form.fields) == dict(zip(PERSONAL_DATA, fields, strict=True))
    assert form.consent == (ConsentField(consent[0], (consent[1],), ("newsletter",)),)
    assert (form.entry_id, form.time_field, form.secret_header) == (entry_id, time_field, "X-Gdpr-Token")


def test_the_shipped_withdrawal_forms_cover_every_purpose_and_ask_only_for_the_address(shipped: Policy) -> None:
    for key, sender_key in (("withdrawal", "email"), ("withdrawal-contact-form-7", "your-email")):
        form = shipped.forms[key]
        assert (form.intent, form.purposes, form.consent) == ("withdrawal", PURPOSES, ())
        assert dict(form.fields) == {"email": sender_key}


def test_a_purchase_and_its_terms_of_service_are_never_a_shipped_consent(shipped: Policy) -> None:
    consents = {(it.kind, it.key, it.accepted) for it in shipped.stripe.consent}
    assert consents == {("custom_field", "nyhetsbrev", ("ja",)), ("metadata", "consent_newsletter", ("yes",))}


def test_a_product_that_nobody_may_give_is_a_mistake() -> None:
    document = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    sold = {"name": {"nb": "Kurs", "en": "Course"}, "stripe_prices": ["price_1"], "role": "customer"}
    document["products"] = {"course": sold}
    assert check_document(document)[1] == ()
    document["processors"]["wordpress"]["actions"].remove("product_access")
    says = "needs a processor with product_access among its actions, or nobody gives it"
    assert check_document(document)[1] == (("products.course", says),)
