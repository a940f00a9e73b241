"""Small files that must survive a crash: whole and old, or whole and new, on the disk; and the lock beside one."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` where `path` is, in one step."""
    temporary = _write_beside(path, data, mode)
    temporary.replace(path)
    _sync_folder(path.parent)


def create_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` where nothing is yet, in one step. FileExistsError, and nothing changed, if something is."""
    temporary = _write_beside(path, data, mode)
    try:
        os.link(temporary, path)  # unlike a rename, it never replaces
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, as a Windows share may be
        if path.exists():
            raise FileExistsError from None
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else, of all processes and threads of this host, holds the lock of `path` meanwhile.

    The lock is another file: one that is replaced would take its lock along.
    """
    descriptor = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink()  # a full disk must not fill with halves
        raise
    return temporary


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk only when its folder is (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
