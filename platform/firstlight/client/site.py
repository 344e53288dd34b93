"""What a training loop does with a site: register a checkpoint, start its evaluation, wait, take the counts along."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from firstlight.client.connection import Connection, SiteError

log = logging.getLogger("firstlight")
ENDED = ("complete", "partial", "failed", "cancelled")


class Firstlight:
    """A site, by its address (`FIRSTLIGHT_URL`) and a token (`FIRSTLIGHT_TOKEN`).

    strict: False for a training loop that must go on whatever the site does: what fails is logged as a warning, and
    answers are empty (`Checkpoint` and `Run` without an id).
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        team: str | None = None,
        strict: bool = True,
        timeout: float = 30.0,
        patience: float = 120.0,
    ) -> None:
        self.team, self.strict = team, strict
        self.connection: Connection | None = None
        self.connection = self._try(
            lambda: Connection(
                url or os.environ.get("FIRSTLIGHT_URL", ""),
                token or os.environ.get("FIRSTLIGHT_TOKEN", ""),
                timeout=timeout,
                patience=patience,
            )
        )

    def register(
        self,
        location: str | Path,
        *,
        series: str,
        configuration: str,
        name: str = "",
        tokens: int | str | None = None,
        step: int | None = None,
        seed: int | None = None,
    ) -> Checkpoint:
        """Register a folder of weights; series and configuration are made where their names are new."""
        body = {
            "location": str(location),
            "series": series,
            "configuration": configuration,
            "name": name,
            "tokens": tokens,
            "step": step,
            "seed": seed,
            "team": self.team,
        }
        return Checkpoint(self, self.post("/checkpoints", body) or {})

    def upload_task(self, file: str | Path, *, name: str = "", description: str = "") -> dict[str, Any]:
        """Upload a task file; a known name gets its next version."""
        path = Path(file)
        fields = {"name": name or path.stem, "description": description}
        if self.team:
            fields["team"] = self.team
        return self.upload("/tasks", fields, path) or {}

    def evaluate(
        self,
        checkpoints: Sequence[int],
        tasks: Sequence[str | int] | str,
        *,
        rule: dict[str, Any] | None = None,
        seed: int = 0,
        engine: str = "",
    ) -> list[Run]:
        """Start a run of each checkpoint on each task; `rule` holds kind and settings of the stopping rule."""
        body = {
            "checkpoints": list(checkpoints),
            "tasks": [tasks] if isinstance(tasks, str) else list(tasks),
            "rule": rule or {},
            "seed": seed,
            "engine": engine,
        }
        made = self.post("/runs", body) or {"runs": []}
        return [Run(self, facts) for facts in made["runs"]]

    def runs(self, **where: Any) -> list[Run]:
        """Runs that fit, the newest first: series, checkpoint and task by id, state by its word."""
        return [Run(self, facts) for facts in self.rows("/runs", **where)]

    def rows(self, path: str, **where: Any) -> list[dict[str, Any]]:
        return self._try(lambda: self._connected().rows(path, **where)) or []

    def get(self, path: str, **query: Any) -> Any:
        return self._try(lambda: self._connected().get(path, **query))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._try(lambda: self._connected().post(path, body))

    def upload(self, path: str, fields: dict[str, str], file: Path) -> Any:
        return self._try(lambda: self._connected().upload(path, fields, (file.name, file.read_bytes())))

    def _connected(self) -> Connection:
        if self.connection is None:
            raise SiteError("there is no site to talk to: its address or token was refused before")
        return self.connection

    def _try(self, action: Callable[[], Any]) -> Any:
        """The answer; with `strict=False` None and a warning where it fails."""
        try:
            return action()
        except SiteError as error:
            if self.strict:
                raise
            log.warning("Firstlight: %s", error)
        except (OSError, ValueError) as error:
            if self.strict:
                raise SiteError(str(error)) from error
            log.warning("Firstlight: %s", error)
        return None


class _Row:
    """Something of the site by its facts; empty where a site that is not strict failed."""

    def __init__(self, site: Firstlight, facts: dict[str, Any]) -> None:
        self.site, self.facts = site, facts

    @property
    def id(self) -> int | None:
        return self.facts.get("id")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.facts.get('id')}, {self.facts.get('name')!r})"


class Checkpoint(_Row):
    """A registered checkpoint."""

    def evaluate(self, tasks: Sequence[str | int] | str, **settings: Any) -> list[Run]:
        """Start its runs on these tasks (`Firstlight.evaluate`)."""
        return self.site.evaluate([self.id], tasks, **settings) if self.id is not None else []


class Run(_Row):
    """A run of a checkpoint on a task."""

    @property
    def state(self) -> str:
        return str(self.facts.get("state", ""))

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def refresh(self) -> Run:
        self.facts = self.site.get(f"/runs/{self.id}") or self.facts
        return self

    def wait(self, *, timeout: float | None = None, pause: float = 2.0) -> Run:
        """Until it has ended; raises SiteError after `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self.refresh().ended:
            if until is not None and time.monotonic() > until:
                raise SiteError(f"run {self.id} is still {self.state} after {timeout:g} s")
            time.sleep(pause)
        return self

    @property
    def estimate(self) -> dict[str, Any] | None:
        """Mean pass probability with its interval, as of the last `refresh`."""
        return self.facts.get("estimate")

    def export(self, path: str | Path) -> Path:
        """Its counts as TALLIES.csv, for `firstlight forecast`."""
        content = self.site._try(lambda: self.site._connected().text(f"/runs/{self.id}/tallies.csv"))
        if content is not None:
            Path(path).write_bytes(content)
        return Path(path)
