"""The site's REST API as an administrator sees it: core, Gravity Forms and WooCommerce, as far as the relay uses them.

Statuses and codes are measured on WordPress 6.8.12, Gravity Forms 2.10 and WooCommerce 9.4, but where it says assumed.
"""

import base64
import html
import json
import re
from collections.abc import Mapping
from typing import Any

from tests.simulators.exchange import Reply, Request

PREFIX = "/wp-json/"
STAFF_CAPABILITIES = {"administrator": {"manage_options": True, "edit_posts": True}, "editor": {"edit_posts": True}}


def wordpress_error(status: int, code: str, message: str = "Refused.", violation: str | None = None) -> Reply:
    """The shape of WP_Error in the REST API, wp-includes/rest-api/class-wp-rest-server.php."""
    return Reply(status, {"code": code, "message": message, "data": {"status": status}}, violation=violation)


def no_route() -> Reply:
    return wordpress_error(404, "rest_no_route", "No route was found matching the URL and request method.")


class RestApi:
    """The routes; the state is the simulator's."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def answer(self, request: Request) -> Reply:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        # "X-HTTP-Method-Override": WP_REST_Server::serve_request.
        method = request.headers.get("x-http-method-override", request.method)
        route = request.path.removeprefix(PREFIX)
        members = json.loads(request.body or b"{}")
        space, _, rest = route.partition("/v")
        match space, rest.partition("/")[2].split("/"):
            case "wp", [("users" | "comments" | "plugins") as name, *ids]:
                return getattr(self, f"_{name}")(method, ids, members)  # type: ignore[no-any-return]
            case "gf", [("forms" | "entries") as name, *ids] if self.state["gravity_forms_rest"]:
                return getattr(self, f"_{name}")(method, ids, members)  # type: ignore[no-any-return]
            case "wc", [("customers" | "orders") as name, *ids] if self.state["woocommerce"]:
                return getattr(self, f"_{name}")(method, ids, members)  # type: ignore[no-any-return]
        return no_route()

    def _refusal(self, request: Request) -> Reply | None:
        if "@" in request.path + request.query or "%40" in request.path + request.query:
            return wordpress_error(400, "rest_invalid_param", violation="an address in a URL")
        given = request.headers.get("authorization", "")
        if not self.state["forwards_authorization"] or not given:
            return wordpress_error(401, "rest_forbidden_context")  # nobody is logged in
        expected = base64.b64encode(f"admin:{self.state['application_password']}".encode()).decode()
        return None if given == f"Basic {expected}" else wordpress_error(401, "incorrect_password")

    def _users(self, method: str, ids: list[str], members: Mapping[str, Any]) -> Reply:
        users = self.state["users"]
        if not ids and method == "GET":
            part = str(members.get("search", "")).lower()
            return _page([_shown(user) for user in users if part in user["email"].lower()], members)
        if not ids:
            return self._create_user(members)
        if ids == ["me"]:
            return Reply(200, _shown({"id": 1, "email": "admin@example.test", "roles": ["administrator"]}))
        user = next((user for user in users if user["id"] == int(ids[0])), None)
        if user is None:
            return wordpress_error(404, "rest_user_invalid_id")
        if method == "DELETE":
            if "reassign" not in members:
                return wordpress_error(400, "rest_missing_callback_param")
            if members.get("force") is not True:
                return wordpress_error(501, "rest_trash_not_supported")
            users.remove(user)
            return Reply(200, {"deleted": True, "previous": _shown(user)}, effect="delete user")
        if method == "GET":
            return Reply(200, _shown(user))
        others = [each["email"].lower() for each in users if each is not user]
        if str(members.get("email", "")).lower() in others:
            return wordpress_error(400, "rest_user_invalid_email")  # WP_REST_Users_Controller::update_item
        user.update(members)
        return Reply(200, _shown(user), effect="update user")

    def _create_user(self, members: Mapping[str, Any]) -> Reply:
        missing = {"username", "email", "password"} - set(members)
        if missing:
            return wordpress_error(400, "rest_missing_callback_param", violation="user without a needed parameter")
        for name, code in (("email", "existing_user_email"), ("username", "existing_user_login")):
            if any(str(user.get(name, "")).lower() == members[name].lower() for user in self.state["users"]):
                return Reply(500, {"code": code, "message": "Sorry.", "data": None})  # wp_insert_user's, as it is
        made = {"id": 100 + len(self.state["users"]), "roles": ["subscriber"], "first_name": "", "last_name": ""}
        made |= {name: value for name, value in members.items() if name not in ("password", "context")}
        self.state["users"].append(made)
        return Reply(201, _shown(made), effect="create user")

    def _comments(self, method: str, ids: list[str], members: Mapping[str, Any]) -> Reply:
        comments = self.state["comments"]
        if not ids:
            wanted = {"all": ("approved", "hold")}.get(members["status"], (members["status"],))
            email = members["author_email"].lower()
            found = [each for each in comments if each["author_email"].lower() == email and each["status"] in wanted]
            return _page(found, members)
        comment = next((each for each in comments if each["id"] == int(ids[0])), None)
        if comment is None:
            return wordpress_error(404, "rest_comment_invalid_id")
        if members.get("force") is not True:
            return wordpress_error(400, "rest_invalid_param", violation="a comment was only put into the trash")
        comments.remove(comment)
        return Reply(200, {"deleted": True}, effect="delete comment")

    def _plugins(self, method: str, ids: list[str], members: Mapping[str, Any]) -> Reply:
        return Reply(200, [{"plugin": f"{folder}/{folder}", "status": "active"} for folder in self.state["plugins"]])

    def _forms(self, method: str, ids: list[str], members: Mapping[str, Any]) -> Reply:
        forms = self.state["gravity_forms"]
        if not ids:  # keyed by id
            return Reply(200, {key: {"id": key, "title": form["title"]} for key, form in forms.items()})
        return Reply(200, forms[ids[0]]) if ids[0] in forms else wordpress_error(404, "gf_form_not_found")

    def _entries(self, method: str, ids: list[str], members: Mapping[str, Any]) -> Reply:
        entries = self.state["entries"]
        if not ids:
            search = json.loads(members["search"])
            found = [each for each in entries if each["status"] == search["status"]]
            for wanted in search.get("field_filters", ()):
                found = [each for each in found if _fits(each, wanted)]
            found.sort(key=lambda each: int(each["id"]), reverse=members.get("sorting", {}).get("direction") != "ASC")
            size, page = members["paging"]["page_size"], members["paging"]["current_page"]
            shown = found[size * (page - 1) : size * page]
            return Reply(200, {"total_count": len(found), "entries": shown})
        entry = next((each for each in entries if each["id"] == ids[0]), None)
        if entry is None:
            return wordpress_error(404, "not_found")
        if method == "DELETE":
            if members.get("force") != 1:
                entry["status"] = "trash"
                return Reply(200, entry, violation="an entry was only put into the trash")
            entries.remove(entry)
            return Reply(200, entry, effect="delete entry")
        if method == "PUT":
            # What is not sent is overwritten: the evidence of a consent.
            fresh = {"date_created": "now", "source_url": "", "user_agent": "API", "ip": "", **members}
            entry.clear()
            entry.update(fresh)
            return Reply(200, entry, effect="update entry")
        return Reply(200, entry)

    def _customers(self, method: str, ids: list[str], members: Mapping[str, Any]) -> Reply:
        users = [user for user in self.state["users"] if "customer" in user["roles"]]
        if not ids:
            found = [user for user in users if user["email"].lower() == members["email"].lower()]
            return _page([_customer(user) for user in found], members)
        user = next((user for user in users if user["id"] == int(ids[0])), None)
        if user is None:
            return wordpress_error(404, "woocommerce_rest_invalid_id")
        if method == "GET":
            return Reply(200, _customer(user))
        user["billing"] = {**user.get("billing", {}), **members.get("billing", {})}
        user.update({name: value for name, value in members.items() if name != "billing"})
        return Reply(200, _customer(user), effect="update customer")

    def _orders(self, method: str, ids: list[str], members: Mapping[str, Any]) -> Reply:
        orders = self.state["orders"]
        if not ids and method == "GET":
            part = str(members.get("search", "")).lower()
            return _page([each for each in orders if part in each["billing"]["email"].lower()], members)
        if not ids:
            made = {**members, "id": 500 + len(orders), "date_created_gmt": "2026-10-01T10:00:00"}
            orders.append(made)
            return Reply(201, made, effect="create order")
        order = next((each for each in orders if each["id"] == int(ids[0])), None)
        if order is None:
            return wordpress_error(404, "woocommerce_rest_shop_order_invalid_id")
        if method == "PUT":
            order.update(members)
            return Reply(200, order, effect="update order")
        return Reply(200, order)


def _page(items: list[Any], members: Mapping[str, Any]) -> Reply:
    size, page = members.get("per_page", 10), members.get("page", 1)
    return Reply(200, items[size * (page - 1) : size * page])


def _shown(user: Mapping[str, Any]) -> dict[str, Any]:
    """Names are escaped: `O'Neil &amp; Co`."""
    capabilities: dict[str, bool] = {"read": True}
    for role in user["roles"]:
        capabilities |= STAFF_CAPABILITIES.get(role, {})
    names = {name: html.escape(user.get(name, ""), quote=False) for name in ("first_name", "last_name")}
    kept = {name: value for name, value in user.items() if name != "billing"}
    return {**kept, **names, "capabilities": capabilities}


def _customer(user: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: html.escape(user.get(name, ""), quote=False) for name in ("first_name", "last_name")}
    return {"id": user["id"], "email": user["email"], **names, "billing": user.get("billing", {})}


def _fits(entry: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Key 0 is any field; the database compares without case (utf8mb4 collations of MySQL: assumed)."""
    if str(wanted["key"]) == "0":
        return any(str(value).lower() == str(wanted["value"]).lower() for key, value in entry.items() if _is_field(key))
    if wanted["operator"] == ">":
        return int(entry[wanted["key"]]) > int(wanted["value"])
    return str(entry.get(wanted["key"])) == str(wanted["value"])


def _is_field(key: str) -> bool:
    return re.fullmatch(r"[0-9]+([.][0-9]+)?", key) is not None
