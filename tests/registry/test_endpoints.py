"""Endpoints: who may change them, what they refuse, and what workers are told."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from firstlight.files.addresses import EndpointAddress
from firstlight.files.errors import Refused
from firstlight.registry import actions
from firstlight.registry.endpoints import addresses_of, engine_arguments, save_endpoint, served_models
from firstlight.registry.models import Checkpoint, Endpoint, TrainingConfiguration
from firstlight.teams.models import AuditEvent
from tests.evaluations import conftest as site
from tests.tiny_model import write_tiny_llama

world = site.world  # the fixture
World = site.World
KEY = "FIRSTLIGHT_ENDPOINT_KEY_A"


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_user("administrator", is_staff=True)


def values(**changes: Any) -> dict[str, Any]:
    return {
        "name": "one",
        "base_url": "http://127.0.0.1:8000/v1",
        "served": ["m"],
        "allow_private": True,
        **changes,
    }


def test_an_endpoint_is_saved_and_changed_with_an_audit_line_of_the_site(administrator: User) -> None:
    endpoint = save_endpoint(
        administrator, **values(base_url=" http://127.0.0.1:8000/v1/ ", served=["m", " m ", "", "b"])
    )
    assert (endpoint.base_url, endpoint.served, endpoint.enabled) == (
        "http://127.0.0.1:8000/v1",
        ["m", "b"],
        True,
    )
    save_endpoint(administrator, endpoint, **values(parallel=3, enabled=False))
    endpoint.refresh_from_db()
    assert (endpoint.served, endpoint.parallel, endpoint.enabled) == (["m"], 3, False)
    events = AuditEvent.objects.order_by("id")
    assert [(e.verb, e.team, e.actor) for e in events] == [
        ("created endpoint", None, administrator),
        ("changed endpoint", None, administrator),
    ]


def test_only_administrators_change_endpoints(world: World, administrator: User) -> None:
    administrator.is_active = False
    for person in (world.user, administrator):
        with pytest.raises(PermissionDenied):
            save_endpoint(person, **values())
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": " "}, "the name of an endpoint"),
        ({"name": "a\nb"}, "the name of an endpoint"),
        ({"base_url": "ftp://host"}, "only http and https"),
        ({"base_url": "http://user:secret@127.0.0.1"}, "holds no user or password"),
        ({"allow_private": False}, "a loopback, private or link-local address"),
        ({"allow_private": False, "base_url": "http://2130706433/v1"}, r"resolves to 127\.0\.0\.1"),
        ({"allow_private": False, "base_url": "http://0x7f000001/v1"}, r"resolves to 127\.0\.0\.1"),
        ({"base_url": "http://0.0.0.0/v1"}, "no server's address"),
        ({"served": []}, "1 to 100 models, not 0"),
        ({"served": ["a\x00b"]}, "printable characters"),
        ({"served": [str(k) for k in range(101)]}, "not 101"),
        ({"key_variable": "FIRSTLIGHT_SECRET_KEY"}, "never written here"),
        ({"key_variable": "sk-abc"}, "never written here"),
        ({"parallel": 0}, "1 to 256, not 0"),
        (
            {"base_url": "http://93.184.216.34/v1", "allow_private": False, "key_variable": KEY},
            "a key goes over https only",
        ),
    ],
)
def test_what_an_endpoint_cannot_be(administrator: User, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        save_endpoint(administrator, **values(**changes))
    assert "\n" not in str(caught.value)
    assert "secret@" not in str(caught.value)
    assert not Endpoint.objects.exists()


def test_two_endpoints_have_two_names(administrator: User) -> None:
    save_endpoint(administrator, **values())
    with pytest.raises(Refused, match="there is an endpoint named 'one' already"):
        save_endpoint(administrator, **values())


def test_workers_get_every_enabled_endpoint_of_the_model_with_its_key(
    administrator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_endpoint(administrator, **values(key_variable=KEY, parallel=2))
    save_endpoint(administrator, **values(name="two", served=["b", "m"]))
    save_endpoint(administrator, **values(name="off", enabled=False, served=["m", "c"]))
    assert served_models() == ["b", "m"]
    for unusable in (None, "", "a\nb", "schlüssel"):
        if unusable is None:
            monkeypatch.delenv(KEY, raising=False)
        else:
            monkeypatch.setenv(KEY, unusable)
        with pytest.raises(Refused, match=f"endpoint one needs a key: set {KEY}"):
            addresses_of("m")
    monkeypatch.setenv(KEY, "sesame")
    url = "http://127.0.0.1:8000/v1"
    assert addresses_of("m") == [
        EndpointAddress("one", url, "sesame", 2, True),
        EndpointAddress("two", url, "", 8, True),
    ]
    with pytest.raises(Refused, match="no enabled endpoint serves 'c'"):
        addresses_of("c")


# --- Checkpoints behind endpoints ---


def register(world: World, **changes: Any) -> Checkpoint:
    configuration = TrainingConfiguration.objects.get(name="recipe")
    return actions.register_served_checkpoint(
        world.user,
        world.series,
        configuration,
        **{"name": "served", "model": "m", "n_params": 7_000_000_000, **changes},
    )


def test_a_served_checkpoint_opens_with_its_endpoints_and_tokenizer(
    world: World, administrator: User
) -> None:
    save_endpoint(administrator, **values())
    checkpoint = register(world, tokenizer="tiny", tokens=100)
    assert (checkpoint.location, checkpoint.served_model, checkpoint.planned) == ("endpoint:m", "m", False)
    assert (checkpoint.n_params, checkpoint.tokens, checkpoint.digest) == (7_000_000_000, 100, "")
    model, options = engine_arguments(checkpoint)
    assert model == "m"
    assert options == {"endpoints": tuple(addresses_of("m")), "tokenizer": world.models / "tiny"}
    assert AuditEvent.objects.filter(verb="registered served checkpoint", team=world.team).count() == 1


def test_a_checkpoint_in_a_folder_opens_with_its_folder(world: World) -> None:
    assert engine_arguments(world.checkpoint) == (world.models / "tiny", {})
    assert world.checkpoint.served_model == ""


def test_an_endpoint_that_is_gone_is_said_when_it_is_used(world: World, administrator: User) -> None:
    row = save_endpoint(administrator, **values())
    checkpoint = register(world)
    save_endpoint(administrator, row, **values(enabled=False))
    with pytest.raises(Refused, match="no enabled endpoint serves 'm': ask an administrator"):
        engine_arguments(checkpoint)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "other"}, "No enabled endpoint serves 'other'"),
        ({"model": "../../etc"}, "No enabled endpoint serves"),
        ({"n_params": 0}, "N must be a whole number from 1"),
        ({"tokenizer": "/etc"}, "outside the allowed folders"),
        ({"tokenizer": "bare"}, r"has no tokenizer\.json"),
        ({"name": "tiny"}, "already has a checkpoint named 'tiny'"),
    ],
)
def test_what_a_served_checkpoint_cannot_be(
    world: World, administrator: User, changes: dict[str, Any], message: str
) -> None:
    save_endpoint(administrator, **values())
    (world.models / "bare").mkdir()
    with pytest.raises(Refused, match=message):
        register(world, **changes)


def test_others_register_nothing(world: World, administrator: User) -> None:
    save_endpoint(administrator, **values())
    with pytest.raises(PermissionDenied):
        actions.register_served_checkpoint(
            administrator,
            world.series,
            TrainingConfiguration.objects.get(name="recipe"),
            name="served",
            model="m",
            n_params=1,
        )


def test_a_tokenizers_folder_needs_no_weights(world: World, administrator: User, tmp_path: Path) -> None:
    save_endpoint(administrator, **values())
    (write_tiny_llama(world.models / "light") / "model.safetensors").unlink()
    assert register(world, tokenizer="light").tokenizer == str(world.models / "light")
