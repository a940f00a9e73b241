"""Google's certificates, fetched behind the requests: none of them ever waits for another host."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from werkzeug.http import parse_cache_control_header

from schemas.log_line import error_fields, log
from schemas.refusal import Refused
from schemas.strict_json import SyntaxRefused, parse_json

RETRY_S = 10.0  # between two tries, however many requests ask
# Google names 5 to 7 hours and publishes a new key well before it signs with it. What an answer may make of that:
FRESH_MIN_S, FRESH_MAX_S = 300, 24 * 3600
STALE_MAX_S = 24 * 3600  # how long the last ones still serve when no new ones can be had
RSA_SIZE_MIN_BITS = 2048


@dataclass(frozen=True, slots=True)
class _Held:
    keys: Mapping[str, RSAPublicKey]
    fresh_until_s: float


class Certificates:
    """`current()` answers at once. `session` decides where it may go and how long that may take; `clock` gives seconds
    that never step."""

    def __init__(self, url: str, session: requests.Session, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._session = session
        self._clock = clock
        self._held: _Held | None = None
        self._tried_at_s: float | None = None
        self._fetching = threading.Lock()  # held while a fetch is on its way: one at a time

    def current(self) -> Mapping[str, RSAPublicKey]:
        """Key id -> public key. Raises Refused 503 while there are none that may still be used."""
        now_s, held = self._clock(), self._held
        if held is None or now_s >= held.fresh_until_s:
            self._renew(now_s)
        if held is None or now_s >= held.fresh_until_s + STALE_MAX_S:
            raise Refused(503, "certificates_awaited", int(RETRY_S))
        return held.keys

    def _renew(self, now_s: float) -> None:
        if self._tried_at_s is not None and now_s - self._tried_at_s < RETRY_S:
            return
        if self._fetching.acquire(blocking=False):
            self._tried_at_s = now_s
            threading.Thread(target=self._fetch_and_release, name="certificates", daemon=True).start()

    def _fetch_and_release(self) -> None:
        try:
            self.fetch()
        finally:
            self._fetching.release()

    def fetch(self) -> None:
        """Get them now. What was held stays if that fails, or if the answer is not what it must be."""
        try:
            response = self._session.get(self._url)
            if response.status_code != requests.codes.ok:
                raise ValueError("status")
            keys = _read_keys(response.content)
        except (requests.RequestException, SyntaxRefused, ValueError) as error:
            log.warning("certificates_not_fetched", **error_fields(error))
            return
        self._held = _Held(keys, self._clock() + _fresh_s(response.headers))


def _fresh_s(headers: Mapping[str, str]) -> float:
    """RFC 9111, 4.2: max-age, less the time that the answer has spent on its way."""
    max_age_s = parse_cache_control_header(headers.get("Cache-Control")).max_age or 0
    age = headers.get("Age", "")
    age_s = int(age) if age.isascii() and age.isdecimal() and len(age) < 10 else 0
    return min(max(max_age_s - age_s, FRESH_MIN_S), FRESH_MAX_S)


def _read_keys(document: bytes) -> dict[str, RSAPublicKey]:
    """{"<key id>": "<X.509 certificate, PEM>"}. Raises SyntaxRefused or ValueError."""
    certificates = parse_json(document)
    if not isinstance(certificates, dict) or not certificates:
        raise ValueError("certificates")
    return {key_id: _read_key(certificate) for key_id, certificate in certificates.items()}


def _read_key(certificate: object) -> RSAPublicKey:
    if not isinstance(certificate, str):
        raise ValueError("certificate")
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_SIZE_MIN_BITS:
        raise ValueError("key")
    return key
