"""localstripe, another party's Stripe, as a process on loopback: `python -m tests.workers.localstripe_server PORT`.

Runs with var/peers first on the path, never in our own processes (https://github.com/adrienverge/localstripe, GPLv3).
What it does not know, or not with the parameters that Stripe takes, is an empty list here. Of the rest it differs from
Stripe in that an empty metadata value unsets nothing, and that a deleted customer is missing.
"""

import re
import socket
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web
from localstripe.server import app

SEARCH = "/v1/customers/search"
EMPTY = re.compile(
    f"{SEARCH}|/v1/(checkout/sessions|disputes|payment_intents)|/v1/customers/cus_[^/]+/(payment_methods|tax_ids)"
)


@web.middleware
async def fill_gaps(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if EMPTY.fullmatch(request.path):
        kind = "search_result" if request.path == SEARCH else "list"
        return web.json_response({"object": kind, "url": request.path, "has_more": False, "data": []})
    return await handler(request)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    app.middlewares.insert(0, fill_gaps)
    web.run_app(app, sock=listener, print=None)


if __name__ == "__main__":
    main()
