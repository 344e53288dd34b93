"""What people read on the pages is plain English: no key of a library, no 5.938e+04, no "1 passes"."""

import re
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse

from firstlight.evaluations.actions import create_run, parse_rule
from firstlight.evaluations.failures import fail_units
from firstlight.evaluations.leases import claim_units
from firstlight.evaluations.models import Likelihood
from firstlight.evaluations.progress import settle_state
from firstlight.files.task_file import parse_task_lines
from firstlight.forecasts.actions import lock_forecast
from firstlight.registry.actions import import_task
from firstlight.registry.instances import exclude_instance
from tests.site.conftest import Measured, World, draw, finish, lines
from tests.site.test_access import TABLE, address

FORBIDDEN = [
    # a rate of 1 tokens/s is right
    r"\b1 (passes|draws|tokens|units|instances|models|checkpoints|sizes|tasks|degrees|warnings|rows)\b(?!/)",
    r"\d\.?\d*e[+-]\d\d",
    r"dataset_ols|instance_ols|instance_likelihood|loss_assisted|scaling_law|sub_scaling|undetermined",
    r"until_passes|fixed_draws|relative_error|dataset_precision",
    r"\bHow surely|\bMind\b|stands already|whatever passes\.",
    r"\bNone\b|\bnan\b|\binf\b|---",
    r" ,|\.\.(?!\.)|,,",
]
#: The site names the field once before it abbreviates it.
ABBREVIATION, SPELLED_OUT = re.compile(r"\bPU\b"), re.compile(r"pass probability \(PU\)", re.IGNORECASE)


class _Reader(HTMLParser):
    """The text that a page shows: no attributes, no scripts, no code."""

    HIDDEN = ("script", "style", "code", "pre")

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in self.HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in self.HIDDEN
        if tag not in ("span", "a", "strong", "sup", "time"):
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.pieces.append(data)


def words(page: str) -> str:
    reader = _Reader()
    reader.feed(page)
    text = re.sub(r"[ \t]+", " ", "".join(reader.pieces))
    return re.sub(r"\s*\n\s*", "\n", text)


def faults(page: str) -> list[str]:
    text = words(page)
    wrong = [match.group() for pattern in FORBIDDEN for match in re.finditer(pattern, text)]
    if ABBREVIATION.search(text) and not SPELLED_OUT.search(text):
        wrong.append("PU is never spelled out")
    return wrong


@pytest.fixture
def addresses(world: World, measured: Measured) -> list[str]:
    """Every page with data, and with the numbers at which a plural goes wrong."""
    one = import_task(world.owner, world.team, name="one", specs=parse_task_lines(lines(1), source="one"))
    single = create_run(world.owner, world.checkpoint, one, rule=parse_rule(r=2, floor=1, cap=4))
    draw(single, 4, units=1)
    settle_state(single)
    exclude_instance(world.owner, measured.instance, reason="ambiguous")
    Likelihood.objects.create(
        checkpoint=world.checkpoint,
        instance=measured.instance,
        nll_answer=1.0,
        nll_terminator=0.5,
        tokens=1,
    )
    bounded = finish(world.run(), 30)
    broken = world.run()
    fail_units(claim_units(broken.pk, "test/0/0", 1), "prompt is too long", final=True)
    draw(broken, 4, units=1)
    shown = [reverse("run", args=[run.pk]) for run in (single, bounded, broken)]
    late = import_task(world.owner, world.team, name="late", specs=parse_task_lines(lines(2), source="late"))
    pages = [address(name, world, measured) for name, row in TABLE.items() if row[1] == "get"]
    pages.remove(reverse("run-csv", args=[measured.runs[0].pk]))
    pages.remove(reverse("run-new"))
    return [
        *pages,
        *shown,
        reverse("checkpoint", args=[world.checkpoint.pk]),
        reverse("checkpoint", args=[world.planned.pk]),
        reverse("task", args=[one.pk]),
        f"{reverse('curve', args=[world.series.pk])}?task={world.task.pk}&target={world.planned.pk}",
        f"{reverse('curve', args=[world.series.pk])}?task={late.pk}&target={world.planned.pk}",
        f"{reverse('configuration', args=[world.configuration.pk])}?diff={world.configuration.pk}",
        f"{reverse('run-list')}?state=paused",
        f"{reverse('forecast-list')}?outcome=hit",
        "/nothing",
    ]


RULES: dict[str, dict[str, float]] = {
    "fixed_draws": {"n": 1},
    "relative_error": {"epsilon": 0.5, "level": 0.9, "floor": 64, "cap": 10_000},
    "dataset_precision": {"target": 0.05, "pilot": 2, "cap": 100},
}


def test_every_page_is_written_in_plain_english(
    world: World, measured: Measured, addresses: list[str]
) -> None:
    staff = world.client("owner")
    world.owner.is_staff = True  # so that the pages of administrators are read too
    world.owner.save()
    wrong = {}
    for path in addresses:
        answer = staff.get(path)
        assert answer.status_code in (200, 404), path
        if bad := faults(answer.getvalue().decode()):
            wrong[path] = bad
    lock_forecast(world.owner, measured.forecast)
    locked = faults(staff.get(reverse("forecast", args=[measured.forecast.pk])).content.decode())
    assert (wrong, locked) == ({}, [])


def test_stopping_rules_are_written_in_plain_english(world: World) -> None:
    client = world.client()
    wrong = {"/runs/new": faults(client.get("/runs/new").content.decode())}
    for kind, settings in RULES.items():
        run = create_run(world.owner, world.checkpoint, world.task, rule=parse_rule(kind, **settings))
        for path in (reverse("run", args=[run.pk]), f"/runs/new?clone={run.pk}"):
            wrong[path] = faults(client.get(path).content.decode())
    assert not any(wrong.values()), wrong


def test_a_method_and_a_class_of_growth_have_names(client: Client, measured: Measured) -> None:
    forecast = measured.forecast
    forecast.result["growth"] = {"class": "sub_scaling", "p_value": 0.01, "reason": "slower"}
    forecast.save()
    text = words(client.get(f"/forecasts/{forecast.pk}").content.decode())
    assert "line through task means (OLS)" in text
    assert "below the law (sub-scaling) (p = 0.01)" in text
    keys = {method["name"] for method in client.get(f"/forecasts/{forecast.pk}.json").json()["methods"]}
    assert "dataset_ols" in keys, "scripts read keys, people read names"


def test_an_empty_site_is_written_in_plain_english(world: World) -> None:
    client = world.client("outsider")
    for path in ("/", "/series", "/tasks", "/runs", "/forecasts", "/configurations"):
        assert faults(client.get(path).content.decode()) == [], path


@pytest.mark.parametrize(
    "sentence",
    [
        "1 passes",
        "1 degrees of freedom",
        "5.938e+04",
        "forecast by dataset_ols",
        "Mind",
        "How surely.",
        "Measured PU",
        "None",
    ],
)
def test_the_reader_finds_what_is_wrong(sentence: str) -> None:
    page = (
        "<p>{}</p><script>5.938e+04</script><a title='dataset_ols' href='/scaling_law'>Measure 11 passes</a>"
    )
    assert faults(page.format(sentence))
    assert faults(page.format("2 passes")) == []


def test_a_sorted_column_says_its_direction_and_keeps_the_query(client: Client, world: World) -> None:
    first, _ = world.run(), world.run()
    page = client.get("/runs?state=open&sort=draws").content.decode()
    assert 'aria-sort="descending"' in page
    assert "?state=open&amp;sort=-draws" in page, "a second click turns the order round"
    assert "?state=open&amp;sort=newest" in page
    page = client.get(f"/runs?state=open&sort=-draws&after={first.pk}").content.decode()
    assert 'aria-sort="ascending"' in page
    assert "?state=open&amp;sort=draws" in page, "and it begins at the first page"
    assert '<input type="hidden" name="sort" value="-draws">' in page


def test_an_order_can_be_turned_round(client: Client, world: World) -> None:
    runs = [world.run().pk for _ in range(3)]
    for sort, order in (("newest", runs[::-1]), ("-newest", runs), ("--newest", runs[::-1])):
        assert [run["id"] for run in client.get(f"/runs.json?sort={sort}").json()["runs"]] == order
