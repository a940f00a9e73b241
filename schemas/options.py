"""Options: one row for each environment variable that the service reads; schemas/settings.py reads them.

README and docs/reference/settings.md are made from this table.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the configuration table."""

    name: str
    default: str
    description: str
    secret: bool = False


OPTIONS = (
    Option("DATA_DIR", "var", "Folder for the embedded database, queue, keys and mail spool."),
    Option("DATABASE_URL", "SQLite in DATA_DIR", "`postgresql://…` for PostgreSQL.", secret=True),
    Option("REDIS_URL", "embedded Valkey in DATA_DIR", "Redis 6.2+ or Valkey; `noeviction`.", secret=True),
    Option("PORT", "8000", "Port that the web process listens on."),
    Option("PUBLIC_URL", "http://127.0.0.1:PORT", "Address of this service as people reach it, in mailed links."),
    Option("WEB_CONCURRENCY", "1", "Web processes. Keep 1 with SQLite."),
    Option("WEB_THREADS", "8", "Threads of each web process."),
    Option("SOURCE_LIMIT_PER_S", "100", "Deliveries a second of one source, ten times as many at once; 0: no limit."),
    Option("POLICY_FILE", "policy.toml", "The privacy policy as data."),
    Option("KEYS_DIR", "DATA_DIR/keys", "Folder of key files, each 0400; see docs/guides/keys.md."),
    Option("KEYRING", "", "All keys as one JSON text, where there is no disk for KEYS_DIR.", secret=True),
    Option("FORM_SECRETS_<FORM>", "", "Secrets of one form, newest first; two may be live.", secret=True),
    Option("STRIPE_WEBHOOK_SECRETS", "", "Signing secrets of Stripe's destinations, comma-separated.", secret=True),
    Option("STRIPE_MODE", "live", "Which Stripe events count: `live`, `test` or `any`."),
    Option("STRIPE_API_KEY", "", "Restricted key: to tell Stripe of withdrawals, and to ask for events.", secret=True),
    Option("STRIPE_API_BASE", "https://api.stripe.com", "Stripe's API."),
    Option("WORDPRESS_URL", "", "Address of the WordPress site with the companion plugin."),
    Option("WORDPRESS_SECRET", "", "Secret shared with the companion plugin (`whsec_…`).", secret=True),
    Option("WORDPRESS_USER", "", "Administrator that the core REST API is used as, without the companion plugin."),
    Option("WORDPRESS_APPLICATION_PASSWORD", "", "Application password of that user.", secret=True),
    Option("WPENGINE_INSTALL_ID", "", "Install whose caches are purged after an erasure."),
    Option("WPENGINE_API_USER", "", "User id of WP Engine's API."),
    Option("WPENGINE_API_PASSWORD", "", "Its password.", secret=True),
    Option("WPENGINE_API_BASE", "https://api.wpengineapi.com/v1", "WP Engine's API."),
    Option("STRIPE_REDACTION", "false", "Erasures also run Stripe's redaction jobs, if the account may use them."),
    Option("STRIPE_PAUSE_RESTRICTED", "false", "A restriction also pauses the collection of subscriptions."),
    Option("GOOGLE_CREDENTIALS", "", "Service account key, or OAuth refresh token, as JSON text.", secret=True),
    Option("GOOGLE_SUBJECT", "", "Workspace user that the service account acts as."),
    Option("GOOGLE_API_BASE", "https://admin.googleapis.com", "Google's Directory API."),
    Option("GMAIL_MAILBOX", "", "The company's mailbox: read for requests, searched for a person's mail, sent from."),
    Option(
        "GMAIL_CREDENTIALS",
        "",
        "Service account key, or OAuth refresh token, as JSON text; for that mailbox only.",
        secret=True,
    ),
    Option("GMAIL_TOPIC", "", "Pub/Sub topic that Gmail tells of new mail: `projects/…/topics/…`."),
    Option("GMAIL_PUSH_SUBSCRIPTION", "", "Its push subscription: `projects/…/subscriptions/…`."),
    Option("GMAIL_PUSH_ACCOUNT", "", "Service account as which Pub/Sub signs its pushes."),
    Option("GMAIL_PUSH_AUDIENCE", "PUBLIC_URL/webhooks/gmail", "Audience that those signatures name."),
    Option("GMAIL_API_BASE", "https://gmail.googleapis.com", "Google's Gmail API."),
    Option("GMAIL_DELETE_PERMANENTLY", "false", "An erasure deletes mail at once, past the trash."),
    Option("PEOPLE_API_BASE", "https://people.googleapis.com", "Google's People API."),
    Option("GOOGLE_CERTS_URL", "https://www.googleapis.com/oauth2/v1/certs", "Certificates of Google's signatures."),
    Option("MAIL_FROM", "samtykke@example.org", "Sender of confirmation and receipt mails."),
    Option("MAIL_TRANSPORT", "spool", "How mail leaves: `spool` (files only), `gmail` (as GMAIL_MAILBOX) or `smtp`."),
    Option("MAIL_SPOOL_DIR", "DATA_DIR/mail", "Folder where mails are written as .eml files."),
    Option("SMTP_HOST", "", "Mail server that takes our mails; see docs/guides/send-mail.md."),
    Option("SMTP_PORT", "587", "Its port: 587 for `starttls`, 465 for `tls`."),
    Option("SMTP_USER", "", "User that logs in there; none where the server knows us by our address."),
    Option("SMTP_PASSWORD", "", "Its password.", secret=True),
    Option("SMTP_TLS", "starttls", "`starttls` or `tls`; `none` only to this machine, with UNSAFE_ALLOW_LOOPBACK."),
    Option("CHECKPOINT_DROP_DIR", "", "Folder, best on another disk, that gets a checkpoint a day."),
    Option("CHECKPOINT_MAIL_TO", "", "Mailbox, best another company's, that gets a checkpoint a day."),
    Option("OPERATOR_MAIL_TO", "", "Mailbox that is reminded of requests that must be answered soon."),
    Option("WITNESSES", "", "Witnesses that cosign checkpoints: `<public key> <address>`, comma-separated."),
    Option("MIRROR_DIR", "", "Folder, best on another disk, that gets every leaf of the ledger."),
    Option("AUDITOR_KEYS", "", "Keys that may read whole leaves at /ledger, comma-separated.", secret=True),
    Option("API_KEYS", "", "Keys of POST /consents/check: `name:check+check_many:key`, comma-separated.", secret=True),
    Option("UNSAFE_ALLOW_LOOPBACK", "false", "Relays may call http on this machine. Development only."),
    Option("LOG_LEVEL", "INFO", "Least severe level that is logged."),
)
