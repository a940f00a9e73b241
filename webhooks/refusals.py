"""What a route may refuse, in groups: whatever does the same checks can say the same noes."""

from collections.abc import Mapping

Reasons = Mapping[int, tuple[str, ...]]  # status -> every reason

ANYWHERE: Reasons = {
    400: ("request_malformed", "request_refused"),
    408: ("request_too_slow",),
    414: ("request_line_too_long",),
    431: ("request_headers_too_large",),
    500: ("internal_error",),
}
STORAGE: Reasons = {503: ("database_away", "database_busy")}
UNREAD: Reasons = {503: ("stripe_not_read",)}
BODY: Reasons = {
    400: ("body_incomplete", "text_bom", "text_not_utf8", "text_nul", "text_surrogate")
    + ("json_malformed", "json_duplicate_key", "json_too_deep", "json_too_many_keys", "json_too_many_values")
    + ("json_number_too_large", "json_not_finite"),
    413: ("body_too_large",),
    415: ("content_type_not_accepted", "content_encoding_not_accepted"),
}
FORM_BODY: Reasons = {400: ("form_malformed", "form_duplicate_key", "form_too_many_fields")}
STRANGER: Reasons = {429: ("too_many_failures",)}
LIMIT: Reasons = {429: ("too_many_deliveries",)}
SIGNATURE: Reasons = {
    401: ("signature_malformed", "signature_mismatch", "signature_outside_window", "no_secret_configured"),
    **STRANGER,
}
SECRET: Reasons = {
    401: ("secret_missing", "secret_mismatch", "signature_malformed", "no_secret_configured"),
    **STRANGER,
}
PUSH_TOKEN: Reasons = {
    400: ("push_malformed",),
    401: ("token_missing", "token_malformed", "token_outside_window", "signature_mismatch")
    + ("issuer_mismatch", "audience_mismatch", "account_mismatch", "subscription_mismatch"),
    404: ("sender_not_configured", "not_found"),
    **STRANGER,
    503: ("certificates_awaited",),
}
SENDER: Reasons = {401: ("site_not_allowed",), 404: ("form_unknown", "not_found"), **LIMIT}
QUESTION: Reasons = {
    403: ("scope_missing",),
    422: ("question_malformed", "too_many_addresses", "purpose_unknown")
    + ("address_malformed", "address_too_long", "address_look_alike"),
}
LINK: Reasons = {404: ("link_unknown", "not_found"), **STRANGER}
UPLOADED: Reasons = {400: ("receipt_missing",), 413: ("body_too_large",)}
PRESSED: Reasons = {400: ("nothing_confirmed",), 413: ("body_too_large",)}
TONGUE: Reasons = {404: ("not_found",)}
TILE: Reasons = {404: ("tile_not_found", "not_found")}
