"""A mail server that can be made to refuse, to hang and to drop: aiosmtpd, with certificates of its own authority.

It speaks the protocol by a library that is not ours; only what is refused is decided here.
"""

import asyncio
import datetime
import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.stack import free_port

HOST, USER, PASSWORD = "127.0.0.1", "samtykke", "s3cret of the mail server"


@dataclass
class Plan:
    """What goes wrong. A reply is given instead of the true one. `hangs_at`, `drops_at`: MAIL, RCPT or DATA, which is
    after the whole mail; it was taken then. `hangs_at` GREETING never says a word.
    """

    greeting: str | None = None
    replies: dict[str, str] = field(default_factory=dict)
    drops_at: str | None = None
    hangs_at: str | None = None
    trickles: bool = False  # a greeting without an end, a line each 0.1 s
    has_starttls: bool = True
    has_login: bool = True
    has_smtputf8: bool = True


@dataclass(frozen=True)
class Received:
    """One mail as it came over the wire, and the session it came in."""

    sender: str
    recipient: str
    content: bytes
    options: tuple[str, ...]
    greeted_as: str
    encrypted: bool
    user: str | None


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """(certificate of the authority, certificate and key of the server) for 127.0.0.1, and for no name."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Test authority", HOST)]
    begins = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    authority = (
        x509.CertificateBuilder(names[0], names[0], keys[0].public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[0].public_key()), critical=False)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
        .sign(keys[0], hashes.SHA256())
    )
    alternatives = [x509.IPAddress(ipaddress.ip_address(HOST))]
    server = (
        x509.CertificateBuilder(names[0], names[1], keys[1].public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
        .sign(keys[0], hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    trusted, own = folder / "authority.pem", folder / "server.pem"
    trusted.write_bytes(authority.public_bytes(pem))
    own.write_bytes(server.public_bytes(pem) + keys[1].private_bytes(*private))
    return trusted, own


class _Server(SMTP):
    """Says what the plan says before it is asked anything."""

    plan = Plan()

    async def _handle_client(self) -> None:
        try:
            if self.plan.hangs_at == "GREETING":
                await asyncio.sleep(3600)
            while self.plan.trickles:
                await self.push("220-patience")
                await asyncio.sleep(0.1)
            if self.plan.greeting is not None:
                await self.push(self.plan.greeting)
        except (ConnectionError, asyncio.CancelledError):  # whoever waited has gone
            self._writer.close()
            raise
        if self.plan.greeting is not None:
            self._writer.close()
            return
        await super()._handle_client()


class SmtpSimulator:
    """`with SmtpSimulator(folder) as server:` listens; `plan` may be changed at any time, `received` is read after."""

    def __init__(self, folder: Path, implicit_tls: bool = False) -> None:
        self.plan = Plan()
        self.received: list[Received] = []
        self.commands: list[str] = []
        self.port = free_port()
        self.authority, certificate = make_certificates(folder)
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(certificate)
        self._implicit_tls = implicit_tls
        context = self._tls if implicit_tls else None
        self._controller = _Controller(self, hostname=HOST, port=self.port, ssl_context=context)

    def make(self) -> SMTP:
        """The server of one connection."""
        server = _Server(
            self,
            hostname="mail.example.test",
            tls_context=self._tls if self.plan.has_starttls and not self._implicit_tls else None,
            authenticator=self._authenticate,
            auth_require_tls=not self._implicit_tls,
            auth_exclude_mechanism=() if self.plan.has_login else ("PLAIN", "LOGIN"),
            enable_SMTPUTF8=self.plan.has_smtputf8,
        )
        server.plan = self.plan
        return server

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        is_right = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False, auth_data=given)

    async def handle_AUTH(self, server: SMTP, *_: Any) -> Any:
        return await self._planned(server, "AUTH")

    async def handle_MAIL(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> Any:
        envelope.mail_from, envelope.mail_options = address, list(options)
        return await self._planned(server, "MAIL") or "250 2.1.0 OK"

    async def handle_RCPT(self, server: SMTP, _session: Session, envelope: Envelope, address: str, _: list[str]) -> Any:
        envelope.rcpt_tos.append(address)
        return await self._planned(server, "RCPT") or "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> Any:
        reply = await self._planned(server, "DATA", receives=lambda: self._keep(session, envelope))
        return reply or "250 2.0.0 OK"

    def _keep(self, session: Session, envelope: Envelope) -> None:
        assert isinstance(envelope.original_content, bytes)
        login = session.login_data
        self.received.append(
            Received(
                envelope.mail_from or "",
                envelope.rcpt_tos[0],
                envelope.original_content,
                tuple(envelope.mail_options),
                session.host_name or "",
                session.ssl is not None or self._implicit_tls,
                login.decode() if login else None,
            )
        )

    async def _planned(self, server: SMTP, step: str, receives: Any = None) -> Any:
        """None: the true answer. A mail is kept unless its refusal is planned."""
        self.commands.append(step)
        reply = self.plan.replies.get(step)
        if reply is None and receives is not None:
            receives()
        if self.plan.hangs_at == step:
            await asyncio.sleep(3600)
        if self.plan.drops_at == step:
            assert server.transport is not None
            server.transport.abort()
        if reply is None and step == "AUTH":
            from aiosmtpd.smtp import MISSING

            return MISSING
        return reply

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()


class _Controller(Controller):
    """aiosmtpd's, whose servers are the simulator's."""

    def factory(self) -> SMTP:
        made: SMTP = self.handler.make()
        return made
