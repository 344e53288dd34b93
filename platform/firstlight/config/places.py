"""Where Firstlight keeps its things on this machine, and which database and broker it takes.

Nothing set: SQLite and a private broker under `var/`. `FIRSTLIGHT_DATABASE_URL` and `FIRSTLIGHT_REDIS_URL`
name servers instead. Pure Python: settings, the supervisor and `firstlight doctor` all read it.
"""

import hashlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path

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
    """`FIRSTLIGHT_SECRET_KEY`, else one made once and kept in a file that only its owner may read."""
    chosen = os.environ.get("FIRSTLIGHT_SECRET_KEY")
    if chosen:
        return chosen
    path = home() / "secret-key"
    try:
        return path.read_text()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process made it between the two lines
        return path.read_text()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text()
