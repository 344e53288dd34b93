"""`firstlight demo`: the main job on this machine, with real models, from a registration to a scored forecast.

Everything goes the way it goes in earnest: the actions of the site, the doorbell, worker processes, leases and
fences. The largest model of the ladder is planned first; its forecast is locked before its weights are attached.
"""

import argparse
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from firstlight.config import places
from firstlight.files.errors import Refused
from workers.site_processes import bring_up, site_address
from workers.supervisor import wait_for_signal

console = Console(highlight=False)
#: What an instance costs whatever the model is, in parameters: added to N where time is estimated.
SMALL = 300_000


def run_demo(arguments: argparse.Namespace) -> int:
    """Exit status 0 only if every step succeeded."""
    ladder = _ladder(arguments.ladder)
    supervisor = bring_up(
        host=arguments.host, port=arguments.port, processes=arguments.workers, logs=places.home() / "log"
    )
    try:
        console.print(f"[bold]Firstlight demo[/bold]  {places.summary()}")
        password = _password()
        demo = _Demo(ladder, arguments, password)
        demo.register()
        demo.measure(demo.smaller, "measuring the smaller models")
        demo.forecast()
        demo.attach_target()
        demo.measure([demo.target], f"measuring {demo.target.name}")
        sound = demo.report()
        url = f"{site_address(arguments.host, arguments.port)}/forecasts/{demo.forecasts[0].pk}"
        if arguments.no_serve:
            console.print(
                f"The forecast page: {url} (firstlight up serves it; user demo, password {password})"
            )
            return 0 if sound else 1
        console.print(
            f"\nThe forecast page: [bold]{url}[/bold]\nSign in as [bold]demo[/bold] with [bold]{password}[/bold]"
        )
        console.print("Ctrl-C ends it; firstlight up serves it again.")
        wait_for_signal()
        return 0 if sound else 1
    finally:
        supervisor.stop()


class _Demo:
    def __init__(self, ladder: Path, arguments: argparse.Namespace, password: str) -> None:
        from firstlight.teams.actions import create_team, ensure_user
        from firstlight.teams.models import Team

        self.ladder, self.arguments = ladder, arguments
        self.plan = json.loads((ladder / "demo.json").read_text())
        self.user = ensure_user("demo", password)
        self.team = Team.objects.filter(name="Demo", memberships__user=self.user).first() or create_team(
            "Demo", self.user
        )
        self.smaller: list[Any] = []
        self.forecasts: list[Any] = []

    def register(self) -> None:
        """A series with every model of the ladder: the largest one planned, the others with their weights."""
        from firstlight.files.task_file import digest, read_task_file
        from firstlight.registry import actions
        from firstlight.registry.models import Series, Task, TrainingConfiguration

        taken = Series.objects.filter(team=self.team, name__startswith="Ladder").count()
        name = f"Ladder {taken + 1}" if taken else "Ladder"
        self.series = actions.create_series(
            self.user,
            self.team,
            name=name,
            description="Llama-shaped character models, 20 tokens a parameter.",
        )
        recipe = self.plan["recipe"]
        configuration = TrainingConfiguration.objects.filter(
            team=self.team, name="ladder main mixture"
        ).first() or actions.create_configuration(
            self.user, self.team, name="ladder main mixture", recipe=recipe, status="trained"
        )
        *smaller, largest = sorted(self.plan["models"], key=lambda model: model["n_params"])
        for model in smaller:
            checkpoint = actions.register_checkpoint(
                self.user,
                self.series,
                configuration,
                name=model["name"],
                location=str(self.ladder / "models" / model["name"]),
                tokens=model["tokens"],
                seed=model["seed"],
            )
            self.smaller.append(checkpoint)
        self.target = actions.plan_checkpoint(
            self.user,
            self.series,
            configuration,
            name=largest["name"],
            n_params=largest["n_params"],
            tokens=largest["tokens"],
        )
        self.tasks = []
        for task_name in self.arguments.task or self.plan["tasks"]:
            specs = read_task_file(self.ladder / "tasks" / f"{task_name}.jsonl")
            known = Task.objects.filter(team=self.team, name=task_name, digest=digest(specs)).first()
            self.tasks.append(known or actions.import_task(self.user, self.team, name=task_name, specs=specs))
        console.print(
            f"registered {len(self.smaller)} checkpoints from N = {self.smaller[0].n_params:,} to "
            f"{self.smaller[-1].n_params:,}, planned {self.target.name} (N = {self.target.n_params:,}), "
            f"{len(self.tasks)} tasks: {', '.join(task.name for task in self.tasks)}"
        )

    def measure(self, checkpoints: list[Any], title: str) -> None:
        """Create a run for each checkpoint and task and watch until all are final; raises Refused unless complete."""
        from firstlight.evaluations.actions import create_run, parse_rule

        rule = parse_rule(r=self.arguments.passes, floor=self.arguments.floor, cap=self.arguments.cap)
        runs = [
            create_run(self.user, checkpoint, task, rule=rule, seed=self.arguments.seed)
            for checkpoint in checkpoints
            for task in self.tasks
        ]
        self._watch([run.pk for run in runs], title)

    def _watch(self, runs: list[int], title: str) -> None:
        from django.db.models import Sum

        from firstlight.evaluations.models import Run

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("instances  {task.fields[rate]}"),
            TimeElapsedColumn(),
        )
        quiet = not console.is_terminal
        chosen = Run.objects.filter(pk__in=runs)
        total = chosen.aggregate(n=Sum("units_total"))["n"]
        began = time.monotonic()
        said = 0.0
        with Progress(*columns, console=console, disable=quiet) as progress:
            bar = progress.add_task(title, total=total, rate="")
            while True:
                now = list(chosen.values_list("units_done", "units_total", "drawn", "checkpoint__n_params"))
                done, drawn = sum(row[0] for row in now), sum(row[2] for row in now)
                seconds = time.monotonic() - began
                # an instance costs about as much as its model is large: the small ones, first, say little of the rest
                spent = sum(row[0] * (row[3] + SMALL) for row in now)
                whole = sum(row[1] * (row[3] + SMALL) for row in now)
                left = seconds * (whole - spent) / spent if spent else float("nan")
                rate = f"{drawn / max(seconds, 1e-9):,.0f} draws/s  about {_duration(left)} left"
                progress.update(bar, completed=done, rate=rate)
                if quiet and seconds - said >= 10:
                    said = seconds
                    console.print(
                        f"{title}: {done} of {total} instances, {drawn:,} draws, {rate}", soft_wrap=True
                    )
                if not chosen.exclude(state__in=Run.FINAL).exists():
                    break
                time.sleep(0.5)
        bad = chosen.exclude(state=Run.State.COMPLETE).select_related("checkpoint", "task").first()
        if bad:
            raise Refused(f"{bad} ended {bad.state}: {bad.reason}")
        counts = chosen.aggregate(draws=Sum("draws"), drawn=Sum("drawn"), passes=Sum("passes"))
        console.print(
            f"{title}: {total} instances, {counts['draws']:,} draws, {counts['passes']:,} passes, "
            f"{counts['drawn'] - counts['draws']:,} overshoot, {time.monotonic() - began:.0f} s",
            soft_wrap=True,
        )

    def forecast(self) -> None:
        from firstlight.forecasts.actions import lock_forecast, make_forecast

        for task in self.tasks:
            forecast = make_forecast(self.user, task, self.target)
            if forecast.refused:
                raise Refused(f"no forecast of {task.name}: {forecast.refused}")
            self.forecasts.append(lock_forecast(self.user, forecast))
        console.print(
            f"forecast {self.target.name} on {len(self.forecasts)} tasks, locked before it is measured"
        )

    def attach_target(self) -> None:
        from firstlight.registry.actions import attach_weights

        self.target = attach_weights(
            self.user, self.target, location=str(self.ladder / "models" / self.target.name)
        )

    def report(self) -> bool:
        """Print the table; True where every run reconciles with its batches."""
        from firstlight.evaluations.models import Run
        from firstlight.evaluations.progress import reconcile

        table = Table(
            title=f"{self.target.name}: forecast from the {len(self.smaller)} smaller models, then measured"
        )
        for heading in ("task", "forecast", "90% interval", "measured", "90% interval", "verdict"):
            table.add_column(heading, justify="left" if heading in ("task", "verdict") else "right")
        for forecast in self.forecasts:
            forecast.refresh_from_db()
            table.add_row(
                forecast.task.name,
                f"{forecast.mean:.4g}",
                f"{forecast.low:.3g} to {forecast.high:.3g}",
                f"{forecast.measured:.4g}",
                f"{forecast.measured_low:.3g} to {forecast.measured_high:.3g}",
                "hit" if forecast.hit else "miss",
            )
        console.print(table)
        runs = Run.objects.filter(checkpoint__series=self.series)
        wrong = [str(problem) for run in runs for problem in reconcile(run)]
        for problem in wrong:
            console.print(f"does not reconcile: {problem}")
        console.print(
            f"{len(runs)} runs checked: counters {'differ from' if wrong else 'equal'} the sum of their batches"
        )
        return not wrong


def _ladder(chosen: Path | None) -> Path:
    ladder = chosen or (places.CHECKOUT / "examples" / "ladder" if places.CHECKOUT else None)
    if ladder is None or not (ladder / "demo.json").is_file():
        raise Refused(
            f"no ladder at {ladder}: name its folder with --ladder (examples/ladder of the source)."
        )
    return ladder.resolve()


def _password() -> str:
    """Made once for this installation, kept where only its owner reads it."""
    path = places.home() / "demo-password"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(9))
    return path.read_text()


def _duration(seconds: float) -> str:
    if seconds != seconds:
        return "?"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
