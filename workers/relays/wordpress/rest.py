"""The site's REST API, used as an administrator with an application password.

What we search by is an address, and a URL is logged by every server on the way. So a read is a POST that says
`X-HTTP-Method-Override: GET`, with its members in the body: WP_REST_Server takes the method from that header, and
WP_REST_Request reads the members of a JSON body at any method (wp-includes/rest-api; measured on WordPress 6.8.12).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workers.outgoing import OutgoingError
from workers.relays.action import RelayError, error_for_transport
from workers.relays.wordpress.answers import GoneError, NoRouteError, read_answer
from workers.relays.wordpress.connection import WordPressConnection

PAGE_SIZE = 20
PAGES_MAX = 50


@dataclass(frozen=True, slots=True)
class Rest:
    """Every call raises RelayError, and NoRouteError, GoneError or ExistsError where the site says so."""

    connection: WordPressConnection

    def read(self, route: str, **members: object) -> Any:
        return self._call("POST", route, members, {"X-HTTP-Method-Override": "GET"})

    def write(self, route: str, **members: object) -> Any:
        return self._call("POST", route, members, {})

    def replace(self, route: str, members: dict[str, Any]) -> Any:
        return self._call("PUT", route, members, {})

    def delete(self, route: str, **members: object) -> None:
        """One that is gone already is deleted."""
        try:
            self._call("DELETE", route, members, {})
        except GoneError:
            return

    def has(self, route: str, **members: object) -> bool:
        """Whether the plugin that brings a route is there, and switched on."""
        try:
            self.read(route, **members)
        except NoRouteError:
            return False
        return True

    def pages(self, route: str, **members: object) -> Iterator[dict[str, Any]]:
        """Every item of a list of core's or of WooCommerce's."""
        for page in range(1, PAGES_MAX + 1):
            items = objects_in(self.read(route, **members, per_page=PAGE_SIZE, page=page))
            yield from items
            if len(items) < PAGE_SIZE:
                return
        raise RelayError("list_without_end", permanent=True)

    def _call(self, method: str, route: str, members: object, headers: dict[str, str]) -> Any:
        connection = self.connection
        try:
            response = connection.session.request(
                method,
                connection.url(route),
                json=members,
                headers=headers,
                auth=(connection.user or "", connection.application_password or ""),
            )
        except OutgoingError as error:
            raise error_for_transport(error) from None
        return read_answer(response, connection)


def objects_in(document: Any) -> list[dict[str, Any]]:
    """A list of objects with ids. Raises RelayError for any other answer."""
    if not isinstance(document, list) or not all(isinstance(each, dict) and "id" in each for each in document):
        raise RelayError("unexpected_answer")
    return document


def object_in(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict) or "id" not in document:
        raise RelayError("unexpected_answer")
    return document
