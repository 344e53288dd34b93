"""Sizes in the site's forms: 7B, 7e9 and 7,000,000 are one notation everywhere."""

import pytest
from django.test import Client

from firstlight.registry.models import Checkpoint
from tests.site.conftest import World


def plan(client: Client, world: World, **sizes: object) -> str:
    data = {"name": "big", "configuration": world.configuration.pk, **sizes}
    return client.post(f"/series/{world.series.pk}/plan", data).content.decode()


@pytest.mark.parametrize("text", ["7B", "7 b", "7e9", "7,000,000,000", "7000000000"])
def test_a_size_is_read_as_people_write_it(client: Client, world: World, text: str) -> None:
    plan(client, world, n_params=text, tokens="1.5T")
    checkpoint = Checkpoint.objects.get(name="big")
    assert (checkpoint.n_params, checkpoint.tokens) == (7_000_000_000, 1_500_000_000_000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,5M", "decimals follow a point, as in 1.5M."),
        ("0", "The size must be above 0"),
        ("-7B", "The size must be above 0"),
        ("nan", "The size must be finite"),
        ("1e30", "at most 1e+18"),
        ("0.5", "The size must be a whole number, not 0.5."),
        ("seven", "is not a size; write one as"),
    ],
)
@pytest.mark.parametrize("field", ["n_params", "tokens"])
def test_what_is_no_size_is_said_at_its_field(
    client: Client, world: World, field: str, text: str, words: str
) -> None:
    page = plan(client, world, **({"n_params": "7B"} | {field: text}))
    assert words in page
    assert f'value="{text}"' in page  # what was written is there to be corrected
    assert not Checkpoint.objects.filter(name="big").exists()


def test_tokens_may_be_left_empty(client: Client, world: World) -> None:
    plan(client, world, n_params="7B", tokens="")
    assert Checkpoint.objects.get(name="big").tokens is None
