"""`flask doctor --connections`: every processor asked, live, and what to do about whatever does not work."""

from collections.abc import Iterator, Mapping

from console.doctor.finding import FAULT, OK, WARNING, Finding
from console.operator import Operator
from schemas.settings import SMTP, SPOOL

CONNECTIONS = "connections"
GUIDES = {
    "wordpress": "docs/guides/connect-wordpress.md",
    "stripe": "docs/guides/connect-stripe.md",
    "google": "docs/guides/connect-google.md",
    "gmail": "docs/senders/gmail.md",
    "smtp": "docs/guides/send-mail.md",
}
# Where one processor means something else by it than the others do.
OF_PROCESSOR: Mapping[tuple[str, str], str] = {
    ("wordpress", "unauthorized"): "WORDPRESS_SECRET is not SAMTYKKE_SECRET of wp-config.php, or the application "
    "password is wrong or revoked: Users > Profile > Application Passwords",
    ("wordpress", "forbidden"): "something in front of WordPress refuses: a security plugin or a firewall",
    ("wordpress", "not_found"): "WPENGINE_INSTALL_ID is no install that this API user may see",
    ("wordpress", "redirect"): "WORDPRESS_URL is not the address the site has: Settings > General > Site Address",
    ("stripe", "unauthorized"): "STRIPE_API_KEY is unknown, was rolled, or is limited to other IP addresses: "
    "Developers > API keys",
    ("stripe", "forbidden"): "the restricted key lacks this permission: Developers > API keys > the key > Edit",
    ("google", "unauthorized"): "Google takes the token back: is the key deleted, the user suspended?",
    (
        "smtp",
        "tls",
    ): "its certificate is not valid for SMTP_HOST: is that the name in it, and is the authority known here? "
    "SSL_CERT_FILE names another authority's",
    ("smtp", "deadline"): "no answer in time: many hosts close port 25, and some 465 and 587 too",
    ("smtp", "tls_handshake"): "no TLS came about: SMTP_TLS is `starttls` on port 587 and `tls` on port 465",
    ("smtp", "connection_lost"): "it hung up: SMTP_TLS is `starttls` on port 587 and `tls` on port 465",
    ("google", "forbidden"): "the account may not do this: does GOOGLE_SUBJECT have an administrator's role for "
    "groups, and is the API switched on in the Cloud project?",
}
REMEDIES: Mapping[str, str] = {
    "no_plugin": "the companion plugin is not there: docs/guides/wordpress-plugin.md",
    "authorization_not_forwarded": "the password is wrong or revoked, or the web server drops the header Authorization "
    "(Apache: CGIPassAuth On)",
    "site_password_protected": "the site asks for a password of its own: User Portal > the environment > Password "
    "protection > off",
    "not_an_administrator": "WORDPRESS_USER is no administrator: erasures need manage_options",
    "secret_unusable": "WORDPRESS_SECRET is no Standard Webhooks secret: whsec_ and base64",
    "clock_skew": "one of the two clocks is wrong: timedatectl",
    "token_refused": "Google gives no token: is the client id under Security > API controls > Domain-wide delegation, "
    "is the user one of the domain, is the key not deleted? A new delegation may take a day",
    "token_unavailable": "Google gives no token now: try again",
    "subject_missing": "GOOGLE_SUBJECT or GMAIL_MAILBOX is not set",
    "credentials_unusable": "the key is no service account's and no refresh token's",
    "group_not_found": "a group of [processors.google.groups] in policy.toml does not exist, or not for this domain",
    "mailbox_of_somebody_else": "the credentials open another mailbox than GMAIL_MAILBOX",
    "server_refused": "the server lets nobody in from here: does its provider know this host's address?",
    "starttls_missing": "no STARTTLS on this port: SMTP_TLS=tls on port 465? Nothing goes in the clear",
    "starttls_refused": "the server offers STARTTLS and then refuses it",
    "login_refused": "SMTP_USER or SMTP_PASSWORD is wrong; Google and Microsoft want an app password, or none at all",
    "login_not_offered": "the server offers no login by PLAIN or LOGIN: leave SMTP_USER out if it knows us by address",
    "login_not_ascii": "SMTP_USER or SMTP_PASSWORD holds a letter beyond ASCII: choose another password",
    "login_required": "the server wants a login: set SMTP_USER and SMTP_PASSWORD",
    "sender_refused": "the server does not send as MAIL_FROM: make that address or domain known to it",
    "busy": "the server is busy: try again later",
    "rate_limited": "the limit is reached: try again later",
    "server_error": "the processor has a fault of its own: try again later",
    "unexpected_answer": "something else answers in its place: a login page, a maintenance page, a proxy",
    "deadline": "no answer within 10 seconds",
    "dns": "its name is not known: is the address right, does this host have DNS?",
    "connect": "nothing listens there, or a firewall is between",
    "connection_lost": "the connection broke off",
    "tls": "its certificate is not valid",
    "tls_handshake": "no TLS came about: a proxy or a firewall?",
    "redirect": "it answers from another address",
    "host_not_allowed": "the address in the settings is not the processor's",
    "scheme_not_allowed": "the address must begin with https://",
    "address_not_allowed": "its name leads to a private address",
}
SCOPE_MISSING = "_scope_missing"


def check(operator: Operator) -> Iterator[Finding]:
    """One finding for each part of each connection. It calls the processors, and changes nothing there."""
    from workers.probing import probe  # with it come the vendors' SDKs: half a second
    from workers.relays.action import RelayError

    yield from _key_mode(operator)
    yield from _mail(operator)
    for processor in (*operator.context.policy.processors, *_mailbox(operator)):
        try:
            connection = operator.context.connections.to(processor)
        except RelayError as error:
            yield Finding(FAULT, CONNECTIONS, f"{processor}: {error.reason}: {GUIDES[processor]}")
            continue
        if connection is None:
            yield Finding(WARNING, CONNECTIONS, f"{processor}: not connected, nothing to ask: {GUIDES[processor]}")
            continue
        for one in probe(processor, connection):
            note = f", {one.note}" if one.note else ""
            if one.reason is None:
                yield Finding(OK, CONNECTIONS, f"{processor}, {one.part}{note}")
            else:
                told = f"{processor}, {one.part}{note}: {one.reason}: {remedy(processor, one.part, one.reason)}"
                yield Finding(FAULT, CONNECTIONS, told)


def remedy(processor: str, part: str, reason: str) -> str:
    """What to do about it, in a sentence."""
    if reason.endswith(SCOPE_MISSING):
        from workers.relays.google.calls import PARTS

        scopes = [scope for scope, name in PARTS.items() if name == reason.removesuffix(SCOPE_MISSING)]
        return (
            f"add {' '.join(scopes) or 'its scope'} under Security > API controls > Domain-wide delegation, "
            f"or take {part} out of the settings"
        )
    return OF_PROCESSOR.get((processor, reason)) or REMEDIES.get(reason) or GUIDES[processor]


def _mailbox(operator: Operator) -> list[str]:
    """Where mail comes from, and as which it is sent, if there is one."""
    return ["gmail"] if operator.settings.gmail_mailbox else []


def _mail(operator: Operator) -> Iterator[Finding]:
    """How mail leaves; sending through Gmail is asked with the mailbox. Nothing is sent."""
    settings = operator.settings
    if settings.mail_transport == SPOOL:
        told = f"mail: MAIL_TRANSPORT is spool: mails become files, and nobody gets one: {GUIDES[SMTP]}"
        yield Finding(WARNING, CONNECTIONS, told)
    if settings.mail_transport != SMTP:
        return
    from workers import mail_smtp

    for part, reason in mail_smtp.probe(mail_smtp.server_of(settings), settings.mail_from).items():
        if reason is None:
            yield Finding(OK, CONNECTIONS, f"{SMTP}, {part}")
        else:
            yield Finding(FAULT, CONNECTIONS, f"{SMTP}, {part}: {reason}: {remedy(SMTP, part, reason)}")


def _key_mode(operator: Operator) -> Iterator[Finding]:
    """What the key says of itself."""
    key, mode = operator.settings.stripe_api_key or "", operator.settings.stripe_mode
    if key.startswith("sk_"):
        told = "STRIPE_API_KEY is a secret key and may do everything: make a restricted one (rk_)"
        yield Finding(WARNING, CONNECTIONS, f"stripe: {told}")
    for kind, other in (("live", "test"), ("test", "live")):
        if f"_{kind}_" in key[:8] and mode == other:
            told = (
                f"STRIPE_API_KEY is a {kind} key, but STRIPE_MODE is {other}: events and relays go to different books"
            )
            yield Finding(FAULT, CONNECTIONS, f"stripe: {told}")
