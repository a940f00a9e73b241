"""Health: alive (the process answers) and ready (it can keep the promise of a 200)."""

from flask import Blueprint, Response, jsonify

from ledger.errors import LedgerError
from ledger.migrate import current_revision, newest_revision
from webhooks.door import Door


def health_blueprint(door: Door) -> Blueprint:
    blueprint = Blueprint("health", __name__, url_prefix="/health")
    newest = newest_revision()

    @blueprint.get("/live")
    def live() -> Response:
        return jsonify(status="alive")

    @blueprint.get("/ready")
    def ready() -> Response:
        """Ready needs the database only. Redis may be away: nothing accepted depends on it."""
        try:
            revision = current_revision(door.database)
        except LedgerError as error:
            return _not_ready(error.reason)
        if revision != newest:
            return _not_ready("database_not_migrated")
        heard = {None: "not_rung_yet", True: "reached", False: "away"}[door.doorbell.heard]
        return jsonify(status="ready", database="reached", queue=heard)

    return blueprint


def _not_ready(reason: str) -> Response:
    response = jsonify(status="not_ready", reason=reason)
    response.status_code = 503
    return response
