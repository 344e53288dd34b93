import csv

from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from firstlight.files.task_file import parse_task_lines
from firstlight.registry.actions import import_task
from firstlight.registry.models import Task
from tests.site.conftest import QueryCount, World, lines


def upload(client: Client, world: World, content: bytes, name: str = "sums") -> HttpResponse:
    file = SimpleUploadedFile("task.jsonl", content)
    return client.post("/tasks/new", {"team": world.team.pk, "name": name, "file": file})


def test_another_file_becomes_the_next_version(client: Client, world: World) -> None:
    upload(client, world, b"\n".join(lines(5)))
    assert Task.objects.get(name="sums", version=2).instances.count() == 5


def test_an_error_names_the_line_and_saves_nothing(client: Client, world: World) -> None:
    page = upload(client, world, b"\n".join([*lines(3), b'{"id": "x"}']), "broken").content.decode()
    assert "task.jsonl, line 4" in page
    assert not Task.objects.filter(name="broken").exists()


def test_the_same_file_again_is_refused(client: Client, world: World) -> None:
    assert "Nothing changed" in upload(client, world, b"\n".join(lines(4))).content.decode()


def test_a_file_beyond_the_cap_is_refused(client: Client, world: World, settings: LazySettings) -> None:
    settings.TASK_UPLOAD_MAX_BYTES = 100
    assert "split the task" in upload(client, world, b"\n".join(lines(4)), "large").content.decode()


def test_one_endless_line_is_refused(client: Client, world: World) -> None:
    assert "line 1" in upload(client, world, b"[" * 3_000_000, "endless").content.decode()


def test_instances_are_listed_and_unseen_characters_shown(client: Client, world: World) -> None:
    upload(
        client,
        world,
        '{"id": "a", "prompt": "x\u202ey\\u0007<b>", "answer": "1", "grader": "exact"}'.encode(),
        "odd",
    )
    task = Task.objects.get(name="odd")
    page = client.get(f"/tasks/{task.pk}").content.decode()
    assert "\u202e" not in page
    assert "U+202E" in page
    assert "U+0007" in page
    assert "<b>" not in page.split("<h2")[-1].split("<table")[1]


def test_leaving_an_instance_out_needs_a_reason_and_can_be_undone(client: Client, world: World) -> None:
    instance = world.task.instances.first()
    path = f"/instances/{instance.pk}/exclude"
    client.post(path, {"reason": " ", "do": "exclude"})
    instance.refresh_from_db()
    assert instance.excluded == ""
    client.post(path, {"reason": "ambiguous", "do": "exclude"})
    instance.refresh_from_db()
    assert instance.excluded == "ambiguous"
    data = client.get(f"/tasks/{world.task.pk}.json?show=excluded").json()
    assert [i["key"] for i in data["instances"]] == [instance.key]
    assert (data["instances_total"], data["instances_excluded"]) == (4, 1)
    client.post(path, {"do": "include"})
    instance.refresh_from_db()
    assert instance.excluded == ""


def test_fifty_instances_a_page(client: Client, world: World, queries: QueryCount) -> None:
    upload(client, world, b"\n".join(lines(120)), "long")
    task = Task.objects.get(name="long")
    seen, after = [], None
    while True:
        data = client.get(f"/tasks/{task.pk}.json" + (f"?after={after}" if after else "")).json()
        seen += [i["key"] for i in data["instances"]]
        after = data["next_after"]
        if after is None:
            break
    assert seen == [f"i{k}" for k in range(120)]
    assert queries(lambda: client.get(f"/tasks/{task.pk}")) <= 10


def test_the_list_counts_instances(client: Client, world: World) -> None:
    (task,) = client.get("/tasks.json").json()["tasks"]
    assert (task["name"], task["version"], task["instances"]) == ("sums", 1, 4)


def test_instances_are_found_by_what_they_hold(client: Client, world: World) -> None:
    path = f"/tasks/{world.task.pk}"
    assert [i["key"] for i in client.get(f"{path}.json?find=I2").json()["instances"]] == ["i2"]
    assert len(client.get(f"{path}.json?find=2%2B3").json()["instances"]) == 4
    assert "No instance matches" in client.get(f"{path}?find=zzz%00").content.decode()
    assert len(client.get(f"{path}.json?grader=nonsense").json()["instances"]) == 4


def test_several_are_left_out_with_one_reason_and_come_back(client: Client, world: World) -> None:
    path, some = f"/tasks/{world.task.pk}", list(world.task.instances.all()[:2])
    ticked = [i.pk for i in some]
    assert (
        "Tick at least one" in client.post(f"{path}/exclude", {"reason": "x"}, follow=True).content.decode()
    )
    assert (
        "Give a reason" in client.post(f"{path}/exclude", {"instance": ticked}, follow=True).content.decode()
    )
    page = client.post(
        f"{path}/exclude", {"instance": ticked, "reason": "=leaked"}, follow=True
    ).content.decode()
    assert "2 instances left out" in page
    rows = list(csv.reader(client.get(f"{path}/left-out.csv").getvalue().decode().splitlines()))
    assert [row[:2] for row in rows] == [["id", "reason"], ["i0", "'=leaked"], ["i1", "'=leaked"]]
    client.post(f"{path}/exclude", {"instance": ticked, "do": "include"})
    assert not world.task.instances.exclude(excluded="").exists()


def test_instances_of_another_task_are_not_touched(client: Client, world: World) -> None:
    foreign = world.other_task.instances.first()
    assert foreign is not None
    client.post(f"/tasks/{world.task.pk}/exclude", {"instance": [foreign.pk], "reason": "x"})
    foreign.refresh_from_db()
    assert foreign.excluded == ""


def test_a_new_version_leaves_out_what_was_left_out_where_it_is_the_same(world: World) -> None:
    for instance in world.task.instances.all()[:2]:
        instance.excluded = "leaked"
        instance.save()
    changed = lines(5)
    changed[1] = changed[1].replace(b"2+3", b"2+4")
    specs = parse_task_lines(changed, source="x")
    fresh = import_task(world.owner, world.team, name="sums", specs=specs)
    assert [i.key for i in fresh.instances.exclude(excluded="")] == ["i0"]
    third = parse_task_lines(lines(6), source="x")
    again = import_task(world.owner, world.team, name="sums", specs=third, carry=False)
    assert not again.instances.exclude(excluded="").exists()


def test_what_is_no_id_is_left_aside(client: Client, world: World) -> None:
    ticked = {"instance": ["²", "٣", "-1", "9" * 30, "x"], "reason": "y"}
    page = client.post(f"/tasks/{world.task.pk}/exclude", ticked, follow=True)
    assert "Tick at least one" in page.content.decode()
    assert client.post("/runs/new", {"checkpoint": ["²"], "task": ["x"]}).status_code == 200
    assert client.get("/runs/new?checkpoint=²&task=x").status_code == 200
