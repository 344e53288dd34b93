"""The actions of the registry: what they refuse, who may call them, and what they leave in the audit log."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from firstlight.evaluations.actions import cancel_run, create_run, parse_rule, pause_run, retry_failed
from firstlight.evaluations.models import Run
from firstlight.files.errors import Refused
from firstlight.files.task_file import InstanceSpec, parse_task_lines
from firstlight.forecasts.actions import make_forecast
from firstlight.registry import actions, instances
from firstlight.registry.models import Checkpoint, Series, Task, TrainingConfiguration
from firstlight.teams.actions import add_member, create_team
from firstlight.teams.models import AuditEvent, Membership
from tests.evaluations import conftest as site
from tests.tiny_model import write_tiny_llama

world = site.world  # the fixture
World = site.World
RULE = parse_rule(r=2, floor=16, cap=100)


def specs(**options: object) -> list[InstanceSpec]:
    return parse_task_lines(site.task_lines(**options), source="letters")  # type: ignore[arg-type]


def configuration_of(world: World) -> TrainingConfiguration:
    return TrainingConfiguration.objects.get(name="recipe")


def register(world: World, name: str, folder: str | None = None, seen: str = "") -> Checkpoint:
    location = str(world.models / (folder or name))
    return actions.register_checkpoint(
        world.user,
        world.series,
        configuration_of(world),
        name=name,
        location=location,
        seen=seen,
    )


# --- Checkpoints ---


def test_a_registered_checkpoint_has_the_facts_of_its_files(world: World) -> None:
    checkpoint = world.checkpoint
    assert (checkpoint.n_params, checkpoint.dtype, checkpoint.architecture) == (
        12_352,
        "float32",
        "LlamaForCausalLM",
    )
    assert (checkpoint.context_length, checkpoint.planned) == (256, False)
    assert checkpoint.digest.startswith("sha256:")
    assert AuditEvent.objects.filter(verb="registered checkpoint", subject__contains="tiny").count() == 1


def test_a_folder_that_changed_since_it_was_shown_is_refused(world: World) -> None:
    shown = actions.read_location("tiny").seen
    write_tiny_llama(world.models / "tiny", d=32, layers=1, heads=1, seed=9)
    with pytest.raises(Refused, match="changed since it was read"):
        register(world, "copy", "tiny", seen=shown)
    assert register(world, "copy", "tiny", seen=actions.read_location("tiny").seen).pk


def test_a_broken_folder_is_refused_in_the_words_of_its_reader(world: World) -> None:
    file = write_tiny_llama(world.models / "cut", d=32, layers=1, heads=1) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(Refused, match="truncated"):
        register(world, "cut")
    (world.models / "empty").mkdir()
    with pytest.raises(Refused, match=r"no config\.json"):
        register(world, "empty")


@pytest.mark.parametrize("location", ["../..", "/etc", "tiny\x00", "", "nowhere", "way-out"])
def test_a_location_that_is_not_below_the_roots_registers_nothing(world: World, location: str) -> None:
    (world.models / "way-out").symlink_to("/etc")
    with pytest.raises(Refused):
        actions.register_checkpoint(
            world.user, world.series, configuration_of(world), name="new", location=location
        )
    assert Checkpoint.objects.count() == 1


@pytest.mark.parametrize("name", ["", "  ", "a" * 121, "two\nlines", "nul\x00"])
def test_a_name_that_cannot_be_shown_is_refused(world: World, name: str) -> None:
    for make in (
        lambda: register(world, name, "tiny"),
        lambda: actions.create_series(world.user, world.team, name=name),
        lambda: actions.create_configuration(world.user, world.team, name=name, recipe={}),
        lambda: actions.import_task(world.user, world.team, name=name, specs=specs()),
    ):
        with pytest.raises(Refused, match="1 to 120 printable characters"):
            make()


def test_a_name_that_is_taken_is_refused_by_name(world: World) -> None:
    with pytest.raises(Refused, match="'tiny'"):
        register(world, "tiny")
    with pytest.raises(Refused, match="'series'"):
        actions.create_series(world.user, world.team, name="series")
    with pytest.raises(Refused, match="'recipe'"):
        actions.create_configuration(world.user, world.team, name="recipe", recipe={})


@pytest.mark.parametrize("field", ["tokens", "step", "seed"])
@pytest.mark.parametrize("value", [-1, 2**63])
def test_a_number_that_no_column_holds_is_refused(world: World, field: str, value: int) -> None:
    with pytest.raises(Refused, match=str(value)):
        actions.register_checkpoint(
            world.user,
            world.series,
            configuration_of(world),
            name="x",
            location="tiny",
            **{field: value},  # type: ignore[arg-type]
        )


# --- Planned checkpoints ---


def plan(world: World, n_params: int = 12_352) -> Checkpoint:
    return actions.plan_checkpoint(
        world.user, world.series, configuration_of(world), name="big", n_params=n_params
    )


def test_a_planned_checkpoint_cannot_be_run_until_its_weights_are_attached(world: World) -> None:
    planned = plan(world)
    with pytest.raises(Refused, match="has no weights yet: attach them first"):
        create_run(world.user, planned, world.task, rule=RULE)
    arrived = actions.attach_weights(world.user, planned, location="tiny")
    assert (arrived.planned, arrived.digest) == (False, world.checkpoint.digest)
    assert create_run(world.user, arrived, world.task, rule=RULE).units_total == 4


def test_weights_of_another_size_than_the_planned_one_are_refused(world: World) -> None:
    planned = plan(world, 12_353)
    with pytest.raises(Refused, match=r"12,352.*12,353"):
        actions.attach_weights(world.user, planned, location="tiny")
    planned.refresh_from_db()
    assert (planned.planned, planned.location) == (True, "")


def test_weights_are_attached_once(world: World) -> None:
    with pytest.raises(Refused, match="already has weights"):
        actions.attach_weights(world.user, world.checkpoint, location="tiny")


@pytest.mark.parametrize("n_params", [0, -5, 2**63])
def test_a_size_that_cannot_be_is_refused(world: World, n_params: int) -> None:
    with pytest.raises(Refused, match=f"not {n_params}"):
        plan(world, n_params)


# --- Configurations ---


def test_the_recipe_of_a_used_configuration_is_fixed_but_its_status_moves(world: World) -> None:
    used = configuration_of(world)
    with pytest.raises(Refused, match="recipe is fixed: create a new configuration"):
        actions.update_configuration(world.user, used, recipe={"lr": 2}, status="trained")
    moved = actions.update_configuration(world.user, used, recipe=used.recipe, status="trained")
    assert (moved.recipe, moved.status) == ({"lr": 1e-3}, "trained")


def test_the_recipe_of_an_unused_configuration_may_change(world: World) -> None:
    unused = actions.create_configuration(world.user, world.team, name="other", recipe={})
    changed = actions.update_configuration(world.user, unused, recipe={"lr": 2}, status="running")
    assert TrainingConfiguration.objects.get(pk=changed.pk).recipe == {"lr": 2}


def test_a_recipe_is_an_object(world: World) -> None:
    with pytest.raises(Refused, match="not list"):
        actions.create_configuration(world.user, world.team, name="other", recipe=[1])  # type: ignore[arg-type]


# --- Tasks ---


def test_the_same_instances_again_are_refused_and_others_are_version_2(world: World) -> None:
    with pytest.raises(Refused, match="Nothing changed: letters v1"):
        actions.import_task(world.user, world.team, name="letters", specs=specs())
    second = actions.import_task(world.user, world.team, name="letters", specs=specs(max_tokens=7))
    assert (second.version, second.instances.count()) == (2, 4)
    assert Task.objects.get(name="letters", version=1).instances.first().max_tokens == 6  # type: ignore[union-attr]
    with pytest.raises(Refused, match="letters v1"):  # back to the first one is no third version either
        actions.import_task(world.user, world.team, name="letters", specs=specs())


def test_a_task_without_instances_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="at least one instance"):
        actions.import_task(world.user, world.team, name="empty", specs=[])


def test_an_excluded_instance_gets_no_unit_and_a_task_of_them_alone_no_run(world: World) -> None:
    first, *rest = world.task.instances.all()
    instances.exclude_instance(world.user, first, reason="its answer is ambiguous")
    assert create_run(world.user, world.checkpoint, world.task, rule=RULE).units_total == 3
    for instance in rest:
        instances.exclude_instance(world.user, instance, reason="so are these")
    with pytest.raises(Refused, match="Every instance of letters v1 is left out"):
        create_run(world.user, world.checkpoint, world.task, rule=RULE)


def test_a_reason_too_long_to_keep_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="at most 300 characters, not 301"):
        instances.exclude_instance(world.user, world.task.instances.all()[0], reason="x" * 301)


# --- Runs ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": -1}, "not -1"),
        ({"seed": 2**63}, "2\\^63 - 1"),
        ({"temperature": 0.0}, "temperature.*not 0.0"),
        ({"temperature": float("nan")}, "temperature.*not nan"),
        ({"temperature": 11.0}, "temperature.*not 11.0"),
        ({"top_p": 0.0}, "top-p.*not 0.0"),
        ({"top_p": float("nan")}, "top-p.*not nan"),
        ({"engine": "warp"}, "'warp': choose one of reference"),
    ],
    ids=str,
)
def test_a_run_with_an_option_out_of_range_is_refused(world: World, options: dict, words: str) -> None:
    with pytest.raises(Refused, match=words):
        create_run(world.user, world.checkpoint, world.task, rule=RULE, **options)
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"r": 1, "floor": 0, "cap": 10}, "take r >= 2"),
        ({"r": 5, "floor": 100, "cap": 50}, r"cap \(50\) is below floor \(100\)"),
        ({"kind": "fixed_draws", "n": 0}, "at least 1, not 0"),
    ],
    ids=str,
)
def test_a_stopping_rule_that_cannot_be_is_refused(rule: dict, words: str) -> None:
    with pytest.raises(Refused, match=words):
        parse_rule(**rule)


# --- Who may ---


@pytest.fixture
def viewer(world: World) -> User:
    user = User.objects.create_user("viewer")
    add_member(world.user, world.team, user, Membership.Role.VIEWER)
    return user


def changes(world: World, actor: User) -> dict[str, Callable[[], object]]:
    """Every change that the team's objects can see, asked for by `actor`."""
    configuration = configuration_of(world)
    run = world.run()
    first = world.task.instances.all()[0]
    place = {"location": "tiny"}
    return {
        "series": lambda: actions.create_series(actor, world.team, name="n"),
        "configuration": lambda: actions.create_configuration(actor, world.team, name="n", recipe={}),
        "change": lambda: actions.update_configuration(actor, configuration, recipe={}, status="trained"),
        "register": lambda: actions.register_checkpoint(
            actor, world.series, configuration, name="n", **place
        ),
        "plan": lambda: actions.plan_checkpoint(actor, world.series, configuration, name="n", n_params=5),
        "attach": lambda: actions.attach_weights(actor, world.checkpoint, **place),
        "import": lambda: actions.import_task(actor, world.team, name="n", specs=specs()),
        "exclude": lambda: instances.exclude_instance(actor, first, reason="n"),
        "run": lambda: create_run(actor, world.checkpoint, world.task, rule=RULE),
        "pause": lambda: pause_run(actor, run),
        "cancel": lambda: cancel_run(actor, run),
        "retry": lambda: retry_failed(actor, run),
        "forecast": lambda: make_forecast(actor, world.task, world.checkpoint),
    }


def test_a_viewer_and_an_outsider_change_nothing(world: World, viewer: User) -> None:
    outsider = User.objects.create_user("outsider")
    create_team("Others", outsider)
    for actor in (viewer, outsider):
        asked = changes(world, actor)
        before = AuditEvent.objects.count()
        for change in asked.values():
            with pytest.raises(PermissionDenied, match="ask an owner"):
                change()
        assert AuditEvent.objects.count() == before
    assert Series.objects.count() == Checkpoint.objects.count() == Task.objects.count() == 1


def test_what_belongs_to_another_team_cannot_be_mixed_in(world: World) -> None:
    """Someone of two teams may write in both, and still not join their objects."""
    second = create_team("Second", world.user)
    theirs = actions.import_task(world.user, second, name="letters", specs=specs())
    recipe = actions.create_configuration(world.user, second, name="recipe", recipe={})
    with pytest.raises(Refused, match="another team"):
        create_run(world.user, world.checkpoint, theirs, rule=RULE)
    with pytest.raises(Refused, match="another team"):
        actions.register_checkpoint(world.user, world.series, recipe, name="n", location="tiny")
    with pytest.raises(Refused, match="another team"):
        actions.plan_checkpoint(world.user, world.series, recipe, name="n", n_params=5)
    with pytest.raises(Refused, match="another team"):
        make_forecast(world.user, theirs, world.checkpoint)
