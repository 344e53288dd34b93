"""Digests that a worker reads: under a lease, with progress; runs wait for them."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from firstlight.evaluations import leases
from firstlight.evaluations.actions import create_run, parse_rule
from firstlight.evaluations.models import Doorbell
from firstlight.files.model_folder import read_model_folder
from firstlight.registry import actions, digests
from firstlight.registry.models import Checkpoint
from tests.evaluations import conftest as site
from tests.tiny_model import write_tiny_llama
from workers.digests import read_all, read_digest

world = site.world  # the fixture
World = site.World


@pytest.fixture
def large(world: World, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """A checkpoint that counts as large, so that its digest waits."""
    monkeypatch.setattr(digests, "AT_ONCE", 0)
    monkeypatch.setattr("workers.digests.PACE", 0.0)
    write_tiny_llama(world.models / "large", d=32, layers=1, heads=1, seed=7)
    made = actions.register_checkpoint(
        world.user, world.series, world.checkpoint.configuration, name="large", location="large"
    )
    assert (made.digest, made.digest_state) == ("", "waiting")
    return made


def test_a_worker_reads_the_digest_that_an_engine_will_find(large: Checkpoint) -> None:
    assert read_digest(large.pk)
    large.refresh_from_db()
    assert (large.digest, large.digest_state) == (read_model_folder(large.location).digest, "known")
    assert large.digest_read == large.digest_size > 0
    assert not read_digest(large.pk)


def test_no_unit_is_claimed_until_the_digest_is_known_and_then_the_bell_rings(
    world: World, large: Checkpoint
) -> None:
    run = create_run(world.user, large, world.task, rule=parse_rule(r=2, floor=16, cap=200))
    Doorbell.objects.all().delete()
    assert leases.claim_units(run.pk, "w/0/0", 10) == []
    assert leases.claim_of_checkpoint(large.pk, "reference", "w/0/0", 10) == []
    read_all()
    assert Doorbell.objects.filter(run=run).exists()
    assert len(leases.claim_units(run.pk, "w/0/0", 10)) > 0


def test_one_reads_while_its_lease_lives_and_another_after_it_died(large: Checkpoint) -> None:
    assert digests.claim(large.pk)
    assert digests.claim(large.pk) is None
    digests.progress(large, 10)
    large.refresh_from_db()
    assert large.digest_read == 10
    past = timezone.now() - timedelta(seconds=1)
    Checkpoint.objects.filter(pk=large.pk).update(digest_lease_until=past)
    assert list(digests.waiting()) == [large]
    assert read_digest(large.pk)


def test_a_folder_that_is_gone_or_changed_fails_with_the_reason_and_is_read_again(
    world: World, large: Checkpoint
) -> None:
    place = Path(large.location)
    place.rename(place.with_name("elsewhere"))
    read_digest(large.pk)
    large.refresh_from_db()
    assert large.digest_state == "failed"
    assert "no such folder" in large.digest_error
    write_tiny_llama(place, d=64, layers=1, heads=1)
    digests.read_again(world.user, large)
    read_digest(large.pk)
    large.refresh_from_db()
    assert "another model now" in large.digest_error
    write_tiny_llama(place, d=32, layers=1, heads=1)
    digests.read_again(world.user, large)
    read_digest(large.pk)
    large.refresh_from_db()
    assert (large.digest_state, large.digest_error) == ("known", "")


def test_the_same_weights_twice_in_a_series_are_left_out_until_somebody_decides(
    world: World, large: Checkpoint
) -> None:
    twin = actions.register_checkpoint(
        world.user, world.series, world.checkpoint.configuration, name="twin", location="large"
    )
    read_all()
    twin.refresh_from_db()
    large.refresh_from_db()
    assert (large.left_out, twin.left_out) == ("", "same weights as large")
