"""Fills the numbers of MODEL_CARD.md from the score tables, so that no number there is typed by hand."""

from __future__ import annotations

import csv
from pathlib import Path

from examples.ladder.data import instances
from examples.ladder.export import HERE
from examples.ladder.generators import TASKS
from examples.ladder.shapes import TOKENS_PER_PARAMETER, WIDTHS, Shape, schedule

BEGIN, END = "<!-- numbers: begin", "<!-- numbers: end -->"


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def numbers(scores: Path) -> str:
    ladder, losses = read(scores / "ladder.csv"), read(scores / "losses.csv")
    sizes = list(dict.fromkeys(row["size"] for row in ladder))
    tasks = list(dict.fromkeys(row["task"] for row in ladder))
    value = {(row["task"], row["size"]): float(row["score"]) for row in ladder}
    loss = {
        row["size"]: float(row["loss"])
        for row in losses
        if row["mixture"] == "main" and row["seed"] == "0" and row["task"] == "all"
    }
    tokens = {row["size"]: int(row["tokens"]) for row in ladder}
    shapes = {Shape(d).name: Shape(d) for d in WIDTHS}
    models = []
    for size in sizes:
        shape = shapes[size]
        plan = schedule(shape, TOKENS_PER_PARAMETER)
        cells = [
            size,
            shape.d,
            shape.layers,
            shape.heads,
            f"{shape.n_params:,}",
            f"{tokens[size]:,}",
            f"{plan.steps:,}",
        ]
        models.append([str(cell) for cell in (*cells, f"{plan.peak_rate:.2g}", f"{loss[size]:.4f}")])
    head = ["model", "d", "layers", "heads", "N", "tokens", "steps", "peak rate", "held-out loss"]
    parts = [table(head, models), "Mean exact pass probability over the test instances:"]
    rows = [[f"`{task}`", *(f"{value[task, size]:.2g}" for size in sizes)] for task in tasks]
    parts.append(table(["task", *(size.removeprefix("ladder-") for size in sizes)], rows))
    examples = []
    for task in tasks:
        line = instances(task)[0]
        text = f"`{line['prompt']}{line['answer']}`".replace("|", "\\|")
        examples.append([f"`{task}`", TASKS[task].kind, TASKS[task].says, text])
    parts += [
        "The tasks, each with its first test instance:",
        table(["task", "kind", "what", "example"], examples),
    ]
    for name, label in (("mixtures", "mixture"), ("seeds", "seed")):
        records = read(scores / f"{name}.csv")
        per = {
            size: len({r[label] for r in records if r["size"] == size})
            for size in {r["size"] for r in records}
        }
        if per:
            listed = ", ".join(f"{per[size]} at `{size}`" for size in sizes if size in per)
            parts.append(f"{name.capitalize()}: {listed}.")
    return "\n\n".join(parts)


def main() -> None:
    card = HERE / "MODEL_CARD.md"
    text = card.read_text(encoding="utf-8")
    begin = text.index("\n", text.index(BEGIN)) + 1
    text = text[:begin] + numbers(HERE / "scores") + "\n" + text[text.index(END) :]
    card.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
