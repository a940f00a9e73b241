"""The site's plugins that keep what people send, and that nothing here can search: they are said, not passed over.

`GET wp/v2/plugins` lists them as `folder/file` (https://developer.wordpress.org/rest-api/reference/plugins/).
"""

from typing import Any

from workers.relays.action import RelayError
from workers.relays.wordpress.rest import Rest

PLUGINS = "wp/v2/plugins"
# Folder to the word for it. Contact Form 7 itself keeps nothing; WPForms Lite keeps nothing either.
UNSEARCHABLE = {
    "flamingo": "flamingo",
    "contact-form-cfdb7": "cfdb7",
    "wpforms": "wpforms",
    "formidable": "formidable",
    "forminator": "forminator",
    "fluentform": "fluent_forms",
    "ninja-forms": "ninja_forms",
    "ws-form": "ws_form",
    "ws-form-pro": "ws_form",
    "elementor-pro": "elementor",
    "jetpack": "jetpack",
    "mailpoet": "mailpoet",
    "newsletter": "newsletter",
}
GRAVITY_FORMS = "gravityforms"


def active_plugins(rest: Rest) -> set[str]:
    """Their folders. Raises RelayError."""
    listed: Any = rest.read(PLUGINS, status="active")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise RelayError("unexpected_answer")
    # The status is asked for, and looked at again: an answer may have ignored it.
    return {str(each.get("plugin")).partition("/")[0] for each in listed if each.get("status") != "inactive"}


def not_searched(rest: Rest, gravity_forms: bool) -> list[str]:
    """Why not everything can have been found, as words. `gravity_forms`: whether its REST API answers."""
    active = active_plugins(rest)
    words = {word for folder, word in UNSEARCHABLE.items() if folder in active}
    if GRAVITY_FORMS in active and not gravity_forms:
        words.add("gravity_forms")
    return [f"{word}_not_searched" for word in sorted(words)]
