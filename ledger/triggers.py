"""Triggers that refuse UPDATE, DELETE, TRUNCATE and, on SQLite, INSERT OR REPLACE on the ledger's tables.

SQLite fires no delete trigger for INSERT OR REPLACE, so the insert itself is guarded: the new position must be
the next one, which also makes a gap impossible.
"""

APPEND_ONLY = ("ledger_entry", "ledger_node", "ledger_checkpoint")


def _sqlite(table: str) -> list[str]:
    refusals = [
        f"CREATE TRIGGER {table}_no_{deed} BEFORE {deed.upper()} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for deed in ("update", "delete")
    ]
    if table == "ledger_checkpoint":
        guard = "NEW.size <= coalesce((SELECT max(size) FROM ledger_checkpoint), 0)"
    else:
        guard = f"NEW.position IS NOT (SELECT coalesce(max(position) + 1, 0) FROM {table})"
    if table == "ledger_entry":
        guard += " OR EXISTS (SELECT 1 FROM ledger_entry WHERE id = NEW.id)"
    return [
        *refusals,
        f"CREATE TRIGGER {table}_in_order BEFORE INSERT ON {table} WHEN {guard} "
        f"BEGIN SELECT RAISE(ABORT, '{table} grows only at its end'); END",
    ]


def _postgresql(table: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    ]


def append_only_statements(dialect: str) -> list[str]:
    """DDL for `sqlite` or `postgresql`."""
    if dialect == "sqlite":
        return [statement for table in APPEND_ONLY for statement in _sqlite(table)]
    function = (
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$"
    )
    return [function, *(statement for table in APPEND_ONLY for statement in _postgresql(table))]
