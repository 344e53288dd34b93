"""Where Firstlight keeps its things on this machine, and which database and broker it takes.

Nothing set: SQLite and a private broker under `var/`. `FIRSTLIGHT_DATABASE_URL` and `FIRSTLIGHT_REDIS_URL`
name servers instead. Pure Python: settings, the supervisor and `firstlight doctor` all read it.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import IO

#: A key with fewer characters was not made by us, or only half of it was written.
SHORTEST_KEY = 32
PACKAGE = Path(__file__).resolve().parents[1]
#: The checkout that this package is run from, or None where it was installed from a wheel.
CHECKOUT = next((p for p in [PACKAGE.parents[1]] if (p / "manage.py").is_file()), None)


def home() -> Path:
    """The folder of everything this installation writes: `FIRSTLIGHT_HOME`, else `var/` of the checkout or here."""
    chosen = os.environ.get("FIRSTLIGHT_HOME")
    return Path(chosen).resolve() if chosen else (CHECKOUT or Path.cwd()) / "var"


def templates() -> Path:
    """The checkout's templates before an installed copy, so that an edit shows at once."""
    return CHECKOUT / "templates" if CHECKOUT else PACKAGE / "templates"


def model_roots() -> list[Path]:
    """Folders below which people may choose checkpoints (`FIRSTLIGHT_MODEL_ROOTS`, separated by colons)."""
    chosen = os.environ.get("FIRSTLIGHT_MODEL_ROOTS")
    if chosen:
        return [Path(p).resolve() for p in chosen.split(":") if p]
    return ([CHECKOUT / "examples"] if CHECKOUT else []) + [home() / "models"]


def database_url() -> str:
    return os.environ.get("FIRSTLIGHT_DATABASE_URL") or f"sqlite:///{home() / 'firstlight.sqlite3'}"


def redis_socket() -> Path:
    """The private Redis' Unix socket; a short path elsewhere where the usual one is beyond the kernel's 107 bytes."""
    usual = home() / "redis.sock"
    if len(str(usual).encode()) <= 100:
        return usual
    short = hashlib.sha256(str(usual).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"firstlight-{os.getuid()}-{short}.sock"


def broker_url() -> str:
    """The doorbell: a Redis server, else a private Redis on a socket, else folders (Celery's filesystem broker)."""
    chosen = os.environ.get("FIRSTLIGHT_REDIS_URL")
    if chosen:
        return chosen
    if shutil.which("redis-server") and os.environ.get("FIRSTLIGHT_BROKER") != "filesystem":
        return f"redis+socket://{redis_socket()}"
    return "filesystem://"


def summary() -> str:
    """One line: what was taken."""
    database = "PostgreSQL" if database_url().startswith("postgres") else "SQLite"
    broker = broker_url()
    if broker.startswith("filesystem"):
        doorbell = "folders (no redis-server on PATH)"
    else:
        doorbell = "a private Redis" if broker.startswith("redis+socket") else "Redis"
    return f"database: {database}; doorbell: {doorbell}; files: {home()}"


def secret_key() -> str:
    """`FIRSTLIGHT_SECRET_KEY`, else one made once and kept in a file that only its owner may read.

    Raises ValueError where the file was cut short. An empty one never held a key, and is filled.
    """
    chosen = os.environ.get("FIRSTLIGHT_SECRET_KEY")
    if chosen:
        return chosen
    path = home() / "secret-key"
    kept = _read(path)
    if not kept:
        make_home()
        whole = path.with_name(f"secret-key-{os.getpid()}-{secrets.token_hex(4)}")
        handle = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        with (home() / "secret-key-lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _read(path):  # another process made it meanwhile
                whole.unlink()
            else:
                whole.replace(path)
        kept = _read(path)
    if len(kept) < SHORTEST_KEY:
        raise ValueError(
            f"{path} holds {len(kept)} characters, so it was cut short: remove it, and a new key is made "
            "(everybody signs in again)."
        )
    return kept


def make_home() -> Path:
    """The home, which only its owner may read: it holds the database and the keys."""
    folder = home()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def close_to_others() -> None:
    """What an older version or a wide umask left open to others is closed: the home, the database, the keys.

    Only a folder that holds these files is a home; another that was named by mistake keeps its mode.
    """
    folder = home()
    files = [path for name in ("secret-key*", "*.sqlite3*") for path in folder.glob(name)]
    if not files or folder.stat().st_uid != os.getuid():
        return
    folder.chmod(0o700)
    for path in files:
        path.chmod(0o600)


def lock_home(command: str) -> IO[str]:
    """Keep the home for this process until the file that is returned is closed, or the process ends.

    Raises BlockingIOError, whose text says which process has it.
    """
    file = (make_home() / "in-use").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise BlockingIOError(holder_of_home()) from None
    file.truncate(0)
    file.write(f"{command} (process {os.getpid()})")
    file.flush()
    return file


def holder_of_home() -> str:
    """The command and process that keep the home, or ""; nothing is written."""
    try:
        with (home() / "in-use").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(home() / "in-use") or "another process"
    except OSError:
        pass
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
