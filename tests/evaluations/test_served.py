"""Checkpoints that are models behind endpoints: one kind of engine draws them, with their endpoints, and no other."""

from typing import Any

import pytest

from firstlight.evaluations.actions import SERVED_BY, create_run, parse_rule
from firstlight.files.errors import Refused
from firstlight.registry.models import Checkpoint, Endpoint
from tests.evaluations.conftest import World
from tests.simulated_engine import SimulatedEngine
from workers import engine_cache
from workers.slices import work_slice

pytestmark = pytest.mark.usefixtures("fresh_worker")


@pytest.fixture
def served(world: World) -> Checkpoint:
    Endpoint.objects.create(name="rack", base_url="http://127.0.0.1:9", served=["big"], allow_private=True)
    return Checkpoint.objects.create(
        series=world.series,
        configuration=world.checkpoint.configuration,
        name="big",
        n_params=10**9,
        location=f"{Checkpoint.SERVED}big",
    )


def test_only_the_engine_of_endpoints_draws_a_served_model_and_it_draws_no_folder(
    world: World, served: Checkpoint
) -> None:
    rule = parse_rule(r=2, cap=50, floor=0)
    with pytest.raises(Refused, match=r"big is a model behind endpoints, .*: choose openai"):
        create_run(world.user, served, world.task, rule=rule)
    with pytest.raises(Refused, match=r"tiny is a folder of weights, .*: choose reference"):
        create_run(world.user, world.checkpoint, world.task, rule=rule, engine=SERVED_BY)


def test_a_run_of_a_served_model_opens_its_endpoints_by_the_models_name(
    world: World, served: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[Any, ...]] = []

    def open_engine(kind: str, model: Any, **options: Any) -> SimulatedEngine:
        opened.append((kind, model, [address.name for address in options["endpoints"]]))
        return SimulatedEngine({f"i{k}": 0.5 for k in range(4)} | {"canary": 0.5})

    monkeypatch.setattr(engine_cache, "open_engine", open_engine)
    run = create_run(world.user, served, world.task, rule=parse_rule(r=2, cap=50, floor=0), engine=SERVED_BY)
    work_slice(run.pk)
    run.refresh_from_db()
    assert opened == [("openai", "big", ["rack"])]
    assert (run.state, run.units_done) == ("complete", 4)
