"""Everything `make run` needs before the first process starts: checks, folders, keys, secrets, what to run."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from console.launch.child import PROCESSES_FILE, RUN_DIR
from console.launch.development import (
    HOST,
    Development,
    choose_mail_port,
    develop,
    is_free,
    read_values,
    shows_mails,
)
from console.launch.errors import LaunchError
from console.launch.folders import TEMPORARY, clear_run_dir, make_keys, make_private, take_lock, write_pointer
from console.launch.procfile import RELEASE, Process, catcher_process, parse_procfile, procfile_process, valkey_process
from console.launch.simulators import kinds_in, make_service_account, simulator_processes
from schemas.policy import Policy, PolicyError, load_policy
from schemas.settings import Settings, SettingsError, load_settings, socket_path

NO_POINTER = "SAMTYKKE_NO_POINTER"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and where. `environment` is what every process gets; `lock` keeps DATA_DIR ours.

    `mail_port`: of the page of the mails, None where there is none.
    """

    settings: Settings
    policy: Policy
    development: Development
    run_dir: Path
    environment: Mapping[str, str]
    release: Process | None
    processes: tuple[Process, ...]
    lock: int
    mail_port: int | None = None


def read_settings(root: Path, environment: Mapping[str, str]) -> Settings:
    """The settings under `environment`. Our own environment is put back afterwards: load_settings adds to it what
    the files say, and the processes must read those files themselves, because they are renewed at every start.
    """
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        return load_settings(root)
    except SettingsError as error:
        raise LaunchError("setting_unusable", f"{error}.") from None
    finally:
        os.environ.clear()
        os.environ.update(before)


def read_policy(path: Path) -> Policy:
    try:
        return load_policy(path)
    except PolicyError as error:
        raise LaunchError("policy_unusable", f"{path.name} cannot be used:\n{error}") from None


def shared_environment(root: Path, own: Mapping[str, str]) -> dict[str, str]:
    """The environment of every process: our interpreter's programs first, one DATA_DIR, output at once, and
    temporary files in a private folder that every start empties.
    """
    named = own.get("DATA_DIR") or read_values(root / ".env").get("DATA_DIR") or "var"
    data_dir = (root / named).resolve()
    return {
        **own,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), own.get("PATH", os.defpath))),
        "DATA_DIR": str(data_dir),
        RUN_DIR: str(data_dir / "run"),
        "TMPDIR": str(data_dir / "run" / TEMPORARY),
        "PYTHONUNBUFFERED": "1",
    }


def prepare(root: Path, own: Mapping[str, str]) -> Plan:
    """Make ready to run the Procfile in `root` under the environment `own`; LaunchError says why not."""
    environment = shared_environment(root, own)
    settings = read_settings(root, environment)
    if not is_free(settings.port):
        message = f"Port {settings.port} is taken. Stop what listens there, or choose another: PORT=8001 make run"
        raise LaunchError("port_taken", message)
    # Only this machine reaches what runs for development (gunicorn's settings, "GUNICORN_CMD_ARGS").
    gunicorn = own.get("GUNICORN_CMD_ARGS", "")
    if "-b" not in gunicorn:
        environment["GUNICORN_CMD_ARGS"] = f"--bind {HOST}:{settings.port} {gunicorn}".strip()
    policy = read_policy(settings.policy_file)
    data_dir, run_dir = settings.data_dir, settings.data_dir / "run"
    for folder in (data_dir, run_dir, data_dir / "simulators"):
        make_private(folder)
    lock = take_lock(run_dir)
    clear_run_dir(run_dir)
    if settings.keyring is None:
        make_keys(settings.keys_dir)
    configured = {**read_values(root / ".env"), **own}
    development = develop(policy, kinds_in(root), configured, settings.port, data_dir)
    if "google" in development.ports:
        make_service_account(root, environment, development)
    if not own.get(NO_POINTER):
        write_pointer(root, data_dir)
    release, processes = choose_processes(root, data_dir, configured, development)
    settings = read_settings(root, environment)
    mail_port = None
    if shows_mails(settings):
        mail_port = choose_mail_port({settings.port, *development.ports.values()})
        processes = (*processes, catcher_process(mail_port))
    return Plan(settings, policy, development, run_dir, environment, release, processes, lock, mail_port)


def choose_processes(
    root: Path, data_dir: Path, configured: Mapping[str, str], development: Development
) -> tuple[Process | None, tuple[Process, ...]]:
    """The Procfile's release step, and every process: its own, the simulators and, without REDIS_URL, Valkey."""
    commands = parse_procfile((root / "Procfile").read_text(encoding="utf-8"))
    release = commands.pop(RELEASE, None)
    processes = [procfile_process(name, command) for name, command in commands.items()]
    processes += simulator_processes(development, data_dir)
    if not configured.get("REDIS_URL") and not configured.get("REDIS_URL_FILE"):
        socket = socket_path(data_dir)
        make_private(socket.parent)
        make_private(data_dir / "valkey")
        socket.unlink(missing_ok=True)
        processes.append(valkey_process(data_dir, socket))
    return procfile_process(RELEASE, release) if release else None, tuple(processes)


def write_processes(run_dir: Path, processes: tuple[Process, ...]) -> None:
    """Tell console.launch.child what each name runs. Private: a process' environment may hold a secret."""
    document = {process.name: asdict(process) for process in processes}
    path = run_dir / PROCESSES_FILE
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
