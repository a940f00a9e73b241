"""WP Engine's caches, which may hold a page with the person on it: purged after an erasure or a rectification.

`POST /installs/{id}/purge_cache`, answered 202 (https://wpengineapi.com/reference). Backups cannot be deleted by this
API, nor by any; they are disclosed with their date instead.
"""

from http import HTTPStatus

from workers.outgoing import OutgoingError
from workers.relays.action import RelayError, error_for_status, error_for_transport, system_clock_ms
from workers.relays.wordpress.connection import WpEngineConnection

CACHES = ("object", "page")  # in this order: a page made in between would be made from the old objects


def purge(connection: WpEngineConnection) -> None:
    """Raises RelayError. It is never `halt`: that would stop the site's other relays, which do not need WP Engine."""
    for cache in CACHES:
        url = f"{connection.api_base}/installs/{connection.install_id}/purge_cache"
        auth = (connection.user, connection.password)
        try:
            response = connection.session.post(url, json={"type": cache}, auth=auth)
        except OutgoingError as error:
            raise error_for_transport(error) from None
        status = response.status_code
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            raise RelayError("wpengine_refused", permanent=True, status=status)
        if status != HTTPStatus.ACCEPTED:
            raise error_for_status(status, response.headers.get("Retry-After"), system_clock_ms())
