"""One home, one site; a kill during a migration; keys and modes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firstlight.config import places
from tests.faults.conftest import ROOT, Site
from tests.servers import postgres_url

MIGRATE = [sys.executable, "manage.py", "migrate", "-v", "0"]
#: Kills at random moments of the migrations; `make kills` raises it.
KILLS = int(os.environ.get("MIGRATION_KILLS", "4"))


def test_a_second_up_or_demo_is_refused_by_the_name_of_the_first(make_site: Callable[..., Site]) -> None:
    site = make_site(FIRSTLIGHT_BROKER="filesystem")
    up = [sys.executable, "-m", "workers.cli.main"]
    with (site.home / "up.log").open("wb") as log:
        first = subprocess.Popen(
            [*up, "up", "--port", "8931", "--workers", "1"], env=site.env, cwd=ROOT, stdout=log, stderr=log
        )
    site.processes.append(first)
    until = time.monotonic() + 60
    while not (site.home / "in-use").exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(0.2)
    for command in (["up", "--port", "8931"], ["demo", "--port", "8933", "--no-serve"]):
        second = subprocess.run(
            [*up, *command], env=site.env, cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert second.returncode != 0
        (line,) = (second.stdout + second.stderr).strip().splitlines()
        assert f"is in use by firstlight up (process {first.pid})" in line
        assert "FIRSTLIGHT_HOME" in line
    first.kill()  # the lock ends with its holder
    first.wait()
    with places_at(site.home):
        places.lock_home("firstlight up").close()


@contextmanager
def places_at(home: Path) -> Iterator[None]:
    before = os.environ["FIRSTLIGHT_HOME"]
    os.environ["FIRSTLIGHT_HOME"] = str(home)
    try:
        yield
    finally:
        os.environ["FIRSTLIGHT_HOME"] = before


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_migrations_killed_at_random_moments_go_on(make_site: Callable[..., Site], database: str) -> None:
    """The kills are spread over the time that all migrations take; each start goes on where the last one was cut."""
    if database == "sqlite":
        _kill_migrations(make_site)
        return
    with postgres_url() as url:
        _kill_migrations(make_site, FIRSTLIGHT_DATABASE_URL=url)


def _kill_migrations(make_site: Callable[..., Site], **environment: str) -> None:
    rng = random.Random(1)
    began = time.monotonic()
    site = make_site(**environment)
    subprocess.run(MIGRATE, env=site.env, cwd=ROOT, check=True, timeout=300)
    whole = time.monotonic() - began
    if not environment:
        site = make_site()
    else:
        _empty(site)
    for _ in range(KILLS):
        process = subprocess.Popen(MIGRATE, env=site.env, cwd=ROOT, stderr=subprocess.PIPE)
        try:
            _, said = process.communicate(timeout=rng.uniform(0.15, 1.0) * whole)
            assert process.returncode == 0, said.decode()[-2000:]
            if environment:
                _empty(site)
            else:
                site = make_site()
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    subprocess.run(MIGRATE, env=site.env, cwd=ROOT, check=True, timeout=300)
    check = [*MIGRATE, "--check"]
    assert subprocess.run(check, env=site.env, cwd=ROOT, timeout=300, check=False).returncode == 0
    assert site.state_of_tables() == "whole"


def _empty(site: Site) -> None:
    program = (
        "from workers.database import set_up_django; set_up_django()\n"
        "from django.db import connection\n"
        "connection.cursor().execute('DROP SCHEMA public CASCADE; CREATE SCHEMA public')"
    )
    subprocess.run([sys.executable, "-c", program], env=site.env, cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize("left", ["", "\n"])
def test_an_empty_key_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str) -> None:
    monkeypatch.setenv("FIRSTLIGHT_HOME", str(tmp_path))
    (tmp_path / "secret-key").write_text(left)
    key = places.secret_key()
    assert len(key) >= places.SHORTEST_KEY
    assert places.secret_key() == key
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"secret-key", "secret-key-lock"}


def test_a_key_that_was_cut_short_is_refused_with_the_remedy(make_site: Callable[..., Site]) -> None:
    site = make_site()
    (site.home / "secret-key").write_text("abc")
    program = [sys.executable, "-m", "workers.cli.main", "user", "add", "ada"]
    done = subprocess.run(program, env=site.env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert "holds 3 characters, so it was cut short: remove it" in line


def test_the_home_is_closed_to_others_and_a_folder_named_by_mistake_is_not(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    site = make_site(FIRSTLIGHT_BROKER="filesystem")
    site.home.chmod(0o755)
    site.create_run(instances=1, cap=64)
    assert site.home.stat().st_mode & 0o777 == 0o700
    for name in ("firstlight.sqlite3", "secret-key"):
        assert (site.home / name).stat().st_mode & 0o777 == 0o600
    (tmp_path / "mistake").mkdir(mode=0o755)
    with places_at(tmp_path / "mistake"):
        places.close_to_others()
    assert (tmp_path / "mistake").stat().st_mode & 0o777 == 0o755


@pytest.mark.slow
def test_two_at_once_migrate_once(make_site: Callable[..., Site]) -> None:
    site = make_site()
    both = [subprocess.Popen(MIGRATE, env=site.env, cwd=ROOT) for _ in range(2)]
    assert [process.wait(300) for process in both] == [0, 0]
