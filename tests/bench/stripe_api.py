"""Stripe's API, as far as dj-stripe asks for it when it is told of a checkout: the same session again.

`python -m tests.bench.stripe_api PORT`. In a process of its own, whose CPU counts for nobody.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.bench.client import HOST
from tests.bench.deliveries import stripe_session

SESSIONS = "/v1/checkout/sessions/"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        session = stripe_session(path.removeprefix(SESSIONS)) | {"line_items": {"object": "list", "data": []}}
        body = json.dumps(session).encode()
        self.send_response(200 if path.startswith(SESSIONS) else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to stderr."""


if __name__ == "__main__":
    ThreadingHTTPServer((HOST, int(sys.argv[1])), _Handler).serve_forever()
