"""Google, as far as it is asked: the token endpoint, groups in the Directory API, a mailbox in Gmail, contacts.

Facts: https://developers.google.com/workspace/admin/directory/reference/rest/v1/members and the discovery
document, which `--contract` applies to every request.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from google.auth import jwt

from tests.simulators.exchange import Reply, Request, SeedError, Simulator, body_for_journal, check_seed_names
from tests.simulators.gmail import EMPTY_MAILBOX, GMAIL, answer_gmail, check_mailbox
from tests.simulators.google_contract import ContractViolation, GoogleContract
from tests.simulators.google_tokens import DEFAULT_GRANTS, SCOPE_PREFIX, TokenEndpoint, make_service_account
from tests.simulators.people import answer_people, check_contacts
from tests.simulators.server import argument_parser, serve

SEED_NAMES = frozenset(
    {
        "groups",
        "grants",
        "subjects",
        "tokens",
        "mailbox",
        "certificates",
        "contacts",
        "other_contacts",
        "refresh_tokens",
    }
)
CERTIFICATES_PATH = "/oauth2/v1/certs"  # of push tokens
GROUPS = ("admin", "directory", "v1", "groups")
WRITE_SCOPES = frozenset({SCOPE_PREFIX + "admin.directory.group", SCOPE_PREFIX + "admin.directory.group.member"})
READ_SCOPES = WRITE_SCOPES | {scope + ".readonly" for scope in WRITE_SCOPES}
ROLES = ("MEMBER", "MANAGER", "OWNER")
FAULTS = {
    400: ("badRequest", "Bad Request"),
    403: ("forbidden", "Not Authorized to access this resource/api"),
    429: ("rateLimitExceeded", "Rate Limit Exceeded"),
    500: ("backendError", "Backend Error"),
    503: ("backendError", "The service is currently unavailable."),
}


def google_error(status: int, reason: str, message: str, violation: str | None = None) -> Reply:
    """The Directory API's error shape, seen in googleapis/google-api-nodejs-client#166."""
    one = {"message": message, "domain": "global", "reason": reason}
    return Reply(status, {"error": {"code": status, "message": message, "errors": [one]}}, violation=violation)


def member(group: str, email: str, role: str) -> dict[str, str]:
    digest = hashlib.sha256(f"{group}\n{email.lower()}".encode()).hexdigest()
    return {
        "kind": "admin#directory#member",
        "etag": f'"{digest[:40]}"',
        "id": f"1{int(digest, 16) % 10**20:020d}",
        "email": email,
        "role": role,
        "type": "USER",
        "status": "ACTIVE",
    }


class Google(Simulator):
    """`groups` maps a group's address to the addresses of its members; both are compared in lower case."""

    def __init__(self, service_account: Mapping[str, Any], contract: GoogleContract | None) -> None:
        self._tokens = TokenEndpoint(service_account)
        self._contract = contract
        self.state = {
            "groups": {},
            "grants": list(DEFAULT_GRANTS),
            "subjects": None,
            "tokens": {},
            "mailbox": EMPTY_MAILBOX,
            "certificates": {},
            "contacts": [],
            "other_contacts": [],
            "refresh_tokens": {},
        }

    def seed(self, document: Mapping[str, Any]) -> None:
        """subjects: who may be impersonated, null = anybody. tokens: {} makes every token invalid. mailbox: as
        tests.simulators.gmail says. certificates: key id -> certificate of whoever signs pushes. contacts,
        other_contacts: persons of the People API. refresh_tokens: token -> its client, secret, subject and scopes."""
        check_seed_names(document, SEED_NAMES)
        for group, members in document.get("groups", {}).items():
            if not isinstance(members, list) or not all(isinstance(each, str) for each in members):
                raise SeedError(f"the members of {group} are not a list of addresses")
        check_mailbox(document.get("mailbox", EMPTY_MAILBOX))
        for name in ("contacts", "other_contacts"):
            check_contacts(document.get(name, []))
        self.state.update(json.loads(json.dumps(dict(document))))

    def decoded(self, request: Request) -> tuple[Any, Any]:
        """A signed assertion is as good as a password for an hour: only its claims are written down."""
        body = body_for_journal(request)
        if isinstance(body, dict) and "assertion" in body:
            try:
                body["assertion"] = jwt.decode(body["assertion"], verify=False)  # type: ignore[no-untyped-call]
            except ValueError:
                body["assertion"] = "malformed"
        return dict(request.pairs), body

    def error_body(self, status: int) -> Any:
        reason, message = FAULTS.get(status, ("backendError", "Unexpected error"))
        return google_error(status, reason, message).body

    def refuse(self, request: Request) -> Reply | None:
        if self._contract is None or request.path in ("/token", CERTIFICATES_PATH):
            return None
        try:
            self._contract.check(request.method, request.segments, request.pairs, request.body)
        except ContractViolation as violation:
            return google_error(400, "contractViolation", str(violation), str(violation))
        return None

    def act(self, request: Request) -> Reply:
        if (request.method, request.path) == ("POST", "/token"):
            form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
            return self._tokens.issue(self.state, form)
        if (request.method, request.path) == ("GET", CERTIFICATES_PATH):
            return Reply(200, self.state["certificates"], {"Cache-Control": "public, max-age=19800, must-revalidate"})
        segments = request.segments
        if segments[:3] == GMAIL:
            return self._gmail(request)
        if segments[0] == "v1":
            return answer_people(self.state, request, self._known(request))
        insertion = request.method == "POST" and len(segments) == 6
        single = request.method in ("GET", "DELETE") and len(segments) == 7
        if segments[:4] != GROUPS or segments[5:6] != ("members",) or not (insertion or single):
            return google_error(501, "notSimulated", "Not simulated", "not simulated")
        refusal = self._unauthorised(request)
        if refusal is not None:
            return refusal
        group = next((each for each in self.state["groups"] if each.lower() == segments[4].lower()), None)
        if group is None:
            return google_error(404, "notFound", "Resource Not Found: groupKey")
        return self._insert(group, request) if insertion else self._single(group, segments[6], request.method)

    def _gmail(self, request: Request) -> Reply:
        known = self._known(request)
        if known is None:
            return google_error(401, "authError", "Invalid Credentials")
        answered = answer_gmail(self.state["mailbox"], request, known)
        if isinstance(answered, Reply):
            return answered
        status, reason, message = answered
        return google_error(status, reason, message)

    def _known(self, request: Request) -> Mapping[str, Any] | None:
        """What the request's token may do; None if it is none or has expired."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        known: Mapping[str, Any] | None = self.state["tokens"].get(token) if scheme == "Bearer" else None
        return known if known is not None and known["expires_at"] > time.time() else None

    def _unauthorised(self, request: Request) -> Reply | None:
        known = self._known(request)
        if known is None:
            return google_error(401, "authError", "Invalid Credentials")
        if not set(known["scopes"]) & (READ_SCOPES if request.method == "GET" else WRITE_SCOPES):
            return google_error(403, "insufficientPermissions", "Request had insufficient authentication scopes.")
        if known["subject"] is None:  # a service account is nobody's administrator
            return google_error(403, "forbidden", "Not Authorized to access this resource/api")
        return None

    def _single(self, group: str, key: str, method: str) -> Reply:
        members: list[str] = self.state["groups"][group]
        found = next((each for each in members if key.lower() in (each.lower(), member(group, each, "")["id"])), None)
        if found is None:
            return google_error(404, "notFound", "Resource Not Found: memberKey")
        if method == "GET":
            return Reply(200, member(group, found, "MEMBER"))
        members.remove(found)
        return Reply(204, effect="members.delete")

    def _insert(self, group: str, request: Request) -> Reply:
        try:
            document = json.loads(request.body)
            email, role = document["email"], document.get("role", "MEMBER")
        except (ValueError, KeyError, TypeError, AttributeError):
            return google_error(400, "required", "Missing required field: memberKey")
        if not isinstance(email, str) or "@" not in email:
            return google_error(400, "invalid", "Invalid Input: memberKey")
        if role not in ROLES:
            return google_error(400, "invalid", "Invalid Input: role")
        members: list[str] = self.state["groups"][group]
        if email.lower() in (each.lower() for each in members):
            return google_error(409, "duplicate", "Member already exists.")
        members.append(email)
        return Reply(200, member(group, email, role), effect="members.insert")


def main() -> None:
    parser = argument_parser("A simulated Google: token endpoint and group members")
    parser.add_argument("--service-account", type=Path, help="the key file whose assertions are accepted")
    parser.add_argument("--contract", action="store_true", help="check requests by the discovery document")
    parser.add_argument("--make-service-account", type=Path, help="write a fresh key file and stop")
    parser.add_argument("--token-uri", help="what that key file names as its token endpoint")
    arguments: argparse.Namespace = parser.parse_args()
    if arguments.make_service_account is not None:
        if arguments.token_uri is None:
            parser.error("--make-service-account needs --token-uri")
        make_service_account(arguments.make_service_account, arguments.token_uri)
        return
    if arguments.service_account is None:
        parser.error("--service-account is needed")
    contract = GoogleContract() if arguments.contract else None
    serve(Google(json.loads(arguments.service_account.read_text()), contract), arguments)


if __name__ == "__main__":
    main()
