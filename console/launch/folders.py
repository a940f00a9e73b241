"""The private folders of DATA_DIR, the lock that keeps a second launcher out, and the first set of keys."""

import contextlib
import fcntl
import os
import shutil
import stat
from pathlib import Path

from console.launch.errors import LaunchError
from ledger.keyring import generate_keys, write_keys

ORIGIN = "samtykke.example.org/development"
POINTER = ".samtykke.env"
TEMPORARY = "tmp"


def make_private(folder: Path) -> None:
    """Make `folder` 0700. An existing one that others may read is only closed if it is empty, and else refused."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid():
        raise LaunchError("folder_not_ours", f"{folder} belongs to another user: choose another DATA_DIR.")
    if stat.S_IMODE(status.st_mode) & 0o077:
        if any(folder.iterdir()):
            raise LaunchError("folder_not_private", f"{folder} is open to other users: chmod 700 it first.")
        folder.chmod(0o700)


def clear_run_dir(run_dir: Path) -> None:
    """Forget what earlier processes noted and left; the lock file stays, because it is what we hold."""
    for path in run_dir.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()
    (run_dir / TEMPORARY).mkdir(mode=0o700)


def remove_socket_folder(folder: Path, data_dir: Path) -> None:
    """A socket whose path would be too long in DATA_DIR lives elsewhere (schemas.settings): leave nothing there."""
    if folder != data_dir:
        with contextlib.suppress(OSError):
            folder.rmdir()


def take_lock(run_dir: Path) -> int:
    """The descriptor that holds DATA_DIR. The manager inherits it, so it is free only when that has ended too."""
    descriptor = os.open(run_dir / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise LaunchError("already_running", f"{run_dir.parent} is in use: another `make run` runs there.") from None
    return descriptor


def make_keys(keys_dir: Path) -> None:
    """All keys or none: half a set, from a crash in between, would be two sets later (inbox_public, _private)."""
    if keys_dir.is_dir() and any(keys_dir.iterdir()):
        return
    draft = keys_dir.with_name(keys_dir.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    write_keys(draft, generate_keys(ORIGIN))
    os.replace(draft, keys_dir)


def write_pointer(root: Path, data_dir: Path) -> None:
    """Tell commands that are run later in this folder which DATA_DIR `make run` uses (schemas.settings)."""
    escaped = str(data_dir).replace("\\", "\\\\").replace("'", "\\'")
    draft = root / f"{POINTER}.draft"
    draft.write_text(f"# The folder that the last `make run` used.\nDATA_DIR='{escaped}'\n", encoding="utf-8")
    os.replace(draft, root / POINTER)
