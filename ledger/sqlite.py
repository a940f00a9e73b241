"""The SQLite library: pysqlite3's, which is newer than most systems', or Python's own where there is no wheel of it.

One library for a process: the file locks of two libraries in one process do not see each other
(https://sqlite.org/howtocorrupt.html#multiple_copies_of_sqlite_linked_into_the_same_application).
"""

import sqlite3 as of_python
from types import ModuleType

try:
    import pysqlite3.dbapi2 as of_pysqlite3
except ImportError:  # requirements.in says for which machines it has a wheel
    sqlite: ModuleType = of_python
else:
    sqlite = of_pysqlite3

# https://sqlite.org/wal.html#walresetbug: fixed in 3.51.3, and in the branches 3.50.7 and 3.44.6.
_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))


def has_wal_reset_bug(version: tuple[int, int, int] = sqlite.sqlite_version_info) -> bool:
    """Whether two connections that checkpoint at once can corrupt the database."""
    newest, *branches = _FIXED
    return version < newest and not any(version[:2] == fixed[:2] and version >= fixed for fixed in branches)
