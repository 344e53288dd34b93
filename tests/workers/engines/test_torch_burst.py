"""However a burst deals its rows out, its draws are those of the reference engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_model import write_tiny_llama
from workers.engines import (
    DrawRequest,
    EngineGarbage,
    EngineOutOfMemory,
    EngineRefusal,
    check_wave,
    open_engine,
)

torch = pytest.importorskip("torch", reason="torch is no dependency of ours; `make test-torch` runs this")

from workers.engines.reference.philox import stream_key, uniforms  # noqa: E402
from workers.engines.torch.lane import Lane  # noqa: E402
from workers.engines.torch.space import Shape, Space, planned_bytes  # noqa: E402
from workers.engines.torch.uniforms import uniform_table  # noqa: E402

KINDS = {
    "llama": {},
    "untied": {"tied": False, "head_dim": 48},
    "qwen2, grouped": {"kind": "qwen2", "d": 96, "heads": 6, "kv_heads": 2},
    "qwen3": {"kind": "qwen3", "head_dim": 40},
    "mistral": {"kind": "mistral", "kv_heads": 1},
    "gelu": {"config": {"hidden_act": "gelu_pytorch_tanh"}},
}


def requests(**changes: Any) -> list[DrawRequest]:
    """Prompts, answers and endings of several lengths."""
    asked = [
        DrawRequest("a", "12+34=", 0, 150, 7, ("\n",), 6),
        DrawRequest("b", "abc abc abc abc abc abc", 5, 70, 7, (), 19),
        DrawRequest("c", "x", 0, 33, 7, ("a1", "="), 30),
        DrawRequest("a", "12+34=", 150, 20, 7, ("\n",), 6),
    ]
    return [replace(request, **changes) for request in asked]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("model"), scale=1.5)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_those_of_the_reference_engine(tmp_path: Path, kind: str) -> None:
    write_tiny_llama(tmp_path, scale=1.5, **KINDS[kind])  # type: ignore[arg-type]
    asked = requests()
    expected = open_engine("reference", tmp_path).draw(asked)
    waves = open_engine("torch", tmp_path, device="cpu", rows=256).draw(asked)
    for request, one, other in zip(asked, expected, waves, strict=True):
        check_wave(request, other)
        assert (one.texts, one.tokens.tolist(), one.finish) == (
            other.texts,
            other.tokens.tolist(),
            other.finish,
        )


@pytest.mark.parametrize(("rows", "lanes"), [(16, 2), (32, 1), (48, 2), (80, 3), (512, 1), (512, 2)])
@pytest.mark.parametrize("decoding", [{}, {"temperature": 0.6}, {"temperature": 0.0}, {"top_p": 0.7}])
def test_rows_side_by_side_change_no_draw(
    folder: Path, rows: int, lanes: int, decoding: dict[str, float]
) -> None:
    expected = open_engine("reference", folder).draw(requests(**decoding))
    engine = open_engine("torch", folder, device="cpu", rows=rows, lanes=lanes)
    waves = engine.draw(requests(**decoding))
    assert sum(lane.rows for lane in engine.room.lanes) == rows  # type: ignore[attr-defined]
    assert [wave.texts for wave in waves] == [wave.texts for wave in expected]


@pytest.mark.parametrize("lanes", [1, 2])
def test_requests_that_come_while_others_run_change_no_draw(folder: Path, lanes: int) -> None:
    engine = open_engine("torch", folder, device="cpu", rows=64, lanes=lanes)
    stream, asked = engine.stream(), requests()
    expected = [wave.texts for wave in engine.draw(asked)]
    stream = engine.stream()
    stream.submit(0, asked[0])
    done = dict(stream.collect()) if asked[0].draws <= 64 else {}
    for key in (1, 2, 3):
        stream.submit(key, asked[key])
        done.update(stream.collect())
    while ended := stream.collect():
        done.update(ended)
    assert [done[key].texts for key in range(4)] == expected


@pytest.mark.parametrize("lanes", [1, 2])
def test_aborted_requests_make_room_and_change_no_draw_of_the_others(folder: Path, lanes: int) -> None:
    engine = open_engine("torch", folder, device="cpu", rows=32, lanes=lanes)
    asked = requests()
    expected = engine.draw(asked)[2].texts
    stream = engine.stream()
    for key, request in enumerate(asked):
        stream.submit(key, request)
    stream.abort([0, 3, "unknown"])
    stream.collect()
    stream.abort([1])
    done = {}
    while ended := stream.collect():
        done.update(ended)
    assert set(done) <= {1, 2}
    assert done[2].texts == expected
    assert stream.collect() == []


def test_a_request_that_is_aborted_before_it_began_holds_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine("torch", folder, device="cpu", rows=32)
    stream = engine.stream()
    first, second = requests(max_tokens=20)[:2]
    longer = replace(first, instance="longer", max_tokens=60)
    stream.submit("fills all rows", replace(first, draws=32))
    stream.submit("waits for rows", second)
    looks = iter(range(200))
    advance = stream._advance  # type: ignore[attr-defined]

    def bounded() -> None:
        if next(looks, None) is None:
            pytest.fail("the stream goes round without an end")
        advance()

    monkeypatch.setattr(stream, "_advance", bounded)
    stream._advance()  # type: ignore[attr-defined]
    stream.abort(["waits for rows"])
    stream.submit("needs more room", longer)
    done = {}
    while ended := stream.collect():
        done.update(ended)
    assert set(done) == {"fills all rows", "needs more room"}
    assert done["needs more room"].texts == engine.draw([longer])[0].texts


@pytest.mark.parametrize("lanes", [1, 2])
def test_memory_that_runs_out_halves_the_rows_and_changes_no_draw(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lanes: int
) -> None:
    engine = open_engine("torch", folder, device="cpu", rows=128, lanes=lanes)
    expected = [wave.texts for wave in engine.draw(requests())]
    run, calls = Lane.run, iter(range(10**6))

    def fail_now_and_then(*arguments: Any, **options: Any) -> None:
        if next(calls) in (3, 9):
            raise torch.cuda.OutOfMemoryError("out of memory")
        run(*arguments, **options)

    monkeypatch.setattr(Lane, "run", fail_now_and_then)
    assert [wave.texts for wave in engine.draw(requests())] == expected
    assert engine.room.shape.rows == 32  # type: ignore[attr-defined]


def test_memory_that_is_never_enough_is_one_clear_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine("torch", folder, device="cpu", rows=64)

    def fail(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Lane, "run", fail)
    with pytest.raises(EngineOutOfMemory, match="lower max_tokens"):
        engine.draw(requests())


def test_too_much_is_refused_before_anything_is_allocated(folder: Path) -> None:
    with pytest.raises(EngineOutOfMemory, match="raise share"):
        open_engine("torch", folder, device="cpu", share=1e-9)
    engine = open_engine("torch", folder, device="cpu")
    engine.room._budget = 1 << 18  # type: ignore[attr-defined]
    with pytest.raises(
        EngineOutOfMemory, match=r"16 draws of 32 tokens behind 32 take \d+ MiB, and 0 are left"
    ):
        engine.draw(requests())
    assert engine.room._space is None  # type: ignore[attr-defined]


def test_the_plan_is_what_is_allocated(folder: Path) -> None:
    engine = open_engine("torch", folder, device="cpu")
    shape = Shape(rows=48, answer=16, prompts=3, prompt=32)
    space = Space(engine.sizes, shape, torch.device("cpu"), torch.float32)  # type: ignore[attr-defined]
    taken = sum(
        part.numel() * part.element_size() for part in vars(space).values() if isinstance(part, torch.Tensor)
    )
    assert planned_bytes(engine.sizes, shape, 4) == taken  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"device": "cuda"}, "no GPU"),
        ({"device": "nonsense"}, "nonsense"),
        ({"dtype": "int4"}, "float32, bfloat16"),
        ({"rows": 3}, "at least 16"),
        ({"lanes": 0}, "lanes is 0"),
        ({"share": 1.5}, "at most 1"),
    ],
)
def test_impossible_options_are_refused(folder: Path, options: dict[str, Any], told: str) -> None:
    if options.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(EngineRefusal, match=told):
        open_engine("torch", folder, **options)


def test_weights_that_are_not_numbers_are_garbage_and_no_failures(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path, scale=float("nan"))
    with pytest.raises(EngineGarbage, match="not finite"):
        open_engine("torch", tmp_path, device="cpu").draw(requests())


def test_random_numbers_are_those_of_the_reference_engine() -> None:
    draws = [0, 1, 77, 2**32 - 1, 2**32 + 5, 2**40]
    key = stream_key(3, "an instance")
    table = uniform_table(torch.tensor([key] * len(draws)), torch.tensor(draws), 9).numpy()
    expected = uniforms(key, np.array(draws)[:, None], np.arange(9)[None, :])
    assert (table == expected).all()
