"""`firstlight up`, `demo`, `register`, `run`: what they do, and one clear line where something is wrong."""

import socket
from pathlib import Path

import pytest

from firstlight.evaluations.models import Run
from firstlight.registry.models import Checkpoint, Series
from firstlight.teams.models import Membership
from tests.cli.conftest import Answer, Call, refused
from tests.evaluations import conftest as site
from tests.servers import free_port

world = site.world  # the fixture
World = site.World


def processes_of(home: Path) -> list[str]:
    """Process ids whose environment names this installation."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:  # ended a moment ago, or another user's
            continue
        if f"FIRSTLIGHT_HOME={home}".encode() in environment.split(b"\0"):
            pids.append(folder.name)
    return pids


def test_a_port_in_use_is_named_and_no_child_is_left_behind(program: Call, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(program("up", "--port", port), f"port {port}", "choose another with --port")
    assert processes_of(tmp_path / "home") == []
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_named_with_its_range(call: Call, port: int) -> None:
    refused(call("up", "--port", port), f"not {port}", "1 to 65535")


def test_no_worker_at_all_is_refused(call: Call) -> None:
    refused(call("up", "--workers", 0), "--workers", "not 0")


@pytest.mark.parametrize("command", [("up",), ("demo", "--no-serve")], ids=" ".join)
def test_a_home_that_cannot_be_written_is_named_with_the_variable_to_set(
    program: Call, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "home"
    answer = program(*command, "--port", free_port(), FIRSTLIGHT_HOME=str(home))
    refused(answer, str(home), "set FIRSTLIGHT_HOME")
    assert answer.out == ""
    assert processes_of(home) == []


def test_a_database_that_is_a_folder_is_named(program: Call, tmp_path: Path) -> None:
    answer = program("up", "--port", free_port(), FIRSTLIGHT_DATABASE_URL=f"sqlite:///{tmp_path}")
    refused(answer, str(tmp_path), "cannot be written", "set FIRSTLIGHT_DATABASE_URL")
    assert processes_of(tmp_path / "home") == []


def test_a_database_server_that_does_not_answer_is_named_without_its_password(
    program: Call, tmp_path: Path
) -> None:
    nobody = free_port()
    url = f"postgresql://someone:very-secret@127.0.0.1:{nobody}/firstlight"
    answer = program("demo", "--no-serve", "--port", free_port(), FIRSTLIGHT_DATABASE_URL=url)
    refused(answer, str(nobody), "set FIRSTLIGHT_DATABASE_URL")
    assert "very-secret" not in answer.err + answer.out
    assert processes_of(tmp_path / "home") == []


def test_a_demo_without_a_ladder_is_told_to_name_one(call: Call, tmp_path: Path) -> None:
    refused(call("demo", "--no-serve", "--ladder", tmp_path), str(tmp_path), "name its folder with --ladder")


def words(options: dict[str, object]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def register(call: Call, folder: object, **options: object) -> Answer:
    chosen = {"user": "owner", "series": "new", "configuration": "recipe", **options}
    return call("register", folder, *words(chosen))


def run(call: Call, **options: object) -> Answer:
    chosen = {"series": "series", "checkpoint": "tiny", "task": "letters", "user": "owner", **options}
    return call("run", *words(chosen))


def test_register_tells_what_it_registered(call: Call, world: World) -> None:
    answer = register(call, world.models / "tiny", name="copy", tokens=1000, seed=3)
    checkpoint = Checkpoint.objects.get(name="copy", series__name="new")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out == f"registered copy: N = 12,352, float32, {checkpoint.digest}\n"
    assert (checkpoint.tokens, checkpoint.seed, checkpoint.n_params) == (1000, 3, 12_352)


def test_register_refuses_a_folder_outside_the_roots_and_leaves_no_empty_series(
    call: Call, world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    refused(register(call, outside), str(outside), "outside the allowed folders", "FIRSTLIGHT_MODEL_ROOTS")
    refused(register(call, world.models / "nowhere"), "no such folder", "Check the spelling")
    assert not Series.objects.filter(name="new").exists()


def test_register_refuses_a_name_that_is_taken(call: Call, world: World) -> None:
    refused(register(call, world.models / "tiny", series="series"), "'tiny'", "choose another name")


def test_run_makes_a_run_that_waits_for_a_worker(call: Call, world: World) -> None:
    answer = run(call, passes=3, seed=9)
    new_run = Run.objects.get()
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith(f"run {new_run.pk}: 4 units wait")
    assert (new_run.rule, new_run.seed) == ({"kind": "until_passes", "r": 3, "floor": 64, "cap": 10_000}, 9)


@pytest.mark.parametrize(
    ("flags", "rule"),
    [
        (("--fixed", 50), {"kind": "fixed_draws", "n": 50}),
        (
            ("--relative-error", 0.5, "--cap", 500),
            {"kind": "relative_error", "epsilon": 0.5, "level": 0.95, "cap": 500, "floor": 64},
        ),
        (
            ("--target", "2%", "--pilot", 8, "--cap", 900),
            {"kind": "dataset_precision", "target": 0.02, "relative": True, "pilot": 8, "cap": 900},
        ),
        (
            ("--target", "0.001"),
            {"kind": "dataset_precision", "target": 0.001, "relative": False, "pilot": 32, "cap": 10_000},
        ),
    ],
    ids=str,
)
def test_every_stopping_rule_has_its_flags(
    call: Call, world: World, flags: tuple[object, ...], rule: dict[str, object]
) -> None:
    base = ("--series", "series", "--checkpoint", "tiny", "--task", "letters", "--user", "owner")
    assert call("run", *base, "--engine", "torch", *flags).status == 0
    new_run = Run.objects.get()
    assert (new_run.rule, new_run.engine) == (rule, "torch")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--passes", 3, "--fixed", 5), ("--passes and --fixed", "choose one")),
        (("--target", "2%", "--floor", 5), ("--floor", "--target", "leave it out")),
        (("--pilot", 5), ("--pilot", "leave it out")),
        (("--relative-error", 2), ("2",)),
        (("--engine", "abacus"), ("'abacus'", "reference")),
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_is_named(
    call: Call, world: World, flags: tuple[object, ...], told: tuple[str, ...]
) -> None:
    base = ("--series", "series", "--checkpoint", "tiny", "--task", "letters", "--user", "owner")
    refused(call("run", *base, *flags), *told)
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--engine", "abacus"), ("'abacus'", "reference")),
        (("--engine", "reference", "--processes", 0), ("--processes", "not 0")),
        (("--engine", "reference", "--option", "rows"), ("name=value", "'rows'")),
    ],
    ids=str,
)
def test_a_worker_that_cannot_be_is_told_why(
    call: Call, flags: tuple[object, ...], told: tuple[str, ...]
) -> None:
    refused(call("worker", *flags), *told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"checkpoint": "huge"}, ("'huge'", "register it first")),
        ({"task": "sums"}, ("'sums'", "upload it on the site first")),
        ({"user": "stranger"}, ("'stranger'", "firstlight user add")),
        ({"passes": 1}, ("not 1", "take r >= 2")),
        ({"floor": 100, "cap": 50}, ("cap (50)", "floor (100)")),
        ({"seed": -1}, ("not -1",)),
    ],
    ids=str,
)
def test_run_names_what_it_cannot_find_or_do(
    call: Call, world: World, changes: dict[str, object], told: tuple[str, ...]
) -> None:
    refused(run(call, **changes), *told)
    assert not Run.objects.exists()


def test_a_viewer_is_told_that_the_role_is_read_only(call: Call, world: World) -> None:
    Membership.objects.update(role=Membership.Role.VIEWER)
    refused(register(call, world.models / "tiny", name="copy"), "read-only", "ask an owner")
    refused(run(call), "read-only", "ask an owner")
