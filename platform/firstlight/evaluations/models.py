"""A run of PassUntil: its units, the batches they are made of, and the outbox of the doorbell.

The database is the truth. Estimates are computed from the counts when read, never stored as truth.
"""

from functools import cached_property

import numpy as np
from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When

from firstlight.files.decoding import Decoding
from firstlight.registry.models import Archivable, Checkpoint, Excludable, Instance, Task
from firstlight.teams.models import Team
from passuntil import rule_from_dict
from passuntil.rules import Rule, RunRule


class Run(Archivable, Excludable):
    """checkpoint x task x stopping rule x decoding x seed."""

    TEAM_PATH = "checkpoint__series__team"

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        COMPLETE = "complete", "Complete"
        PARTIAL = "partial", "Partial"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    class Priority(models.IntegerChoices):
        LOW = -1, "Low"
        NORMAL = 0, "Normal"
        HIGH = 1, "High"

    OPEN = (State.QUEUED, State.RUNNING)
    FINAL = (State.COMPLETE, State.PARTIAL, State.FAILED, State.CANCELLED)

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="runs")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="runs")
    name = models.CharField("a name that people gave it", max_length=120, blank=True)
    rule = models.JSONField()
    temperature = models.FloatField(default=1.0)
    top_p = models.FloatField(default=1.0)
    seed = models.PositiveBigIntegerField(default=0)
    engine = models.CharField(max_length=20, default="reference")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    reason = models.CharField("why it ended so, or waits, or goes on otherwise", max_length=500, blank=True)
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="+", help_text="The series' own, to find work by."
    )
    priority = models.SmallIntegerField(choices=Priority, default=Priority.NORMAL)
    queue = models.GeneratedField(
        verbose_name="the kind of engine that it waits for while it is open",
        expression=Case(When(state__in=OPEN, then=F("engine")), default=Value("")),
        output_field=models.CharField(max_length=20),
        db_persist=True,
    )
    held_until = models.DateTimeField("its engine failed to open, and is not tried before", null=True)
    held_times = models.PositiveIntegerField("how often in a row it failed to open", default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    units_total = models.PositiveIntegerField(default=0)
    units_done = models.PositiveIntegerField(default=0)
    draws = models.PositiveBigIntegerField("draws that count", default=0)
    drawn = models.PositiveBigIntegerField("draws made, overshoot included", default=0)
    passes = models.PositiveBigIntegerField(default=0)
    tokens = models.PositiveBigIntegerField("tokens of all draws made", default=0)
    tokens_used = models.PositiveBigIntegerField("tokens of the draws that count", default=0)
    given_up_draws = models.PositiveBigIntegerField("draws begun in vain that no batch holds", default=0)
    given_up_tokens = models.PositiveBigIntegerField("their tokens", default=0)
    engine_seconds = models.FloatField("seconds that a device was held for this run", default=0.0)
    ceiling_tokens = models.FloatField("tokens that the device draws in such a time at its best", default=0.0)
    dropped = models.PositiveIntegerField("stale batches refused by the fence", default=0)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["state", "id"]),
            models.Index(fields=["task", "checkpoint", "state"]),
            models.Index(fields=["team", "state"]),
            # where the next work is found, in the order of its turn
            models.Index(fields=["queue", "team", "-priority", "id"]),
            models.Index(fields=["queue", "checkpoint", "-priority", "id"]),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}: {self.checkpoint} on {self.task}"

    @cached_property
    def stopping_rule(self) -> Rule:
        """The rule that the row describes; it is fixed with the run."""
        return rule_from_dict(self.rule)

    @property
    def run_rule(self) -> RunRule | None:
        """The rule, where it allots the draws of all units together."""
        return self.stopping_rule if isinstance(self.stopping_rule, RunRule) else None

    @property
    def decoding(self) -> Decoding:
        """How its text is drawn."""
        return Decoding(seed=self.seed, temperature=self.temperature, top_p=self.top_p)


class Unit(models.Model):
    """One instance of a run: counts in draw order, the lease of the worker that has it, and its fence token."""

    TEAM_PATH = "run__checkpoint__series__team"

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        DONE = "done", "Done"
        QUARANTINED = "quarantined", "Quarantined"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="units")
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=12, choices=State, default=State.PENDING)
    draws = models.PositiveIntegerField(default=0)
    drawn = models.PositiveIntegerField(default=0)
    passes = models.PositiveIntegerField(default=0)
    stopped_at = models.PositiveIntegerField(null=True)
    next_batch = models.PositiveIntegerField(default=0)
    token = models.PositiveIntegerField("fence token", default=0)
    worker = models.CharField(max_length=120, blank=True)
    lease_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    allotted = models.PositiveIntegerField(
        "draws to be made by the end of the round, where a rule allots them to all units together", null=True
    )
    attempts = models.PositiveSmallIntegerField("claims since the last batch", default=0)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "instance"], name="one_unit_an_instance"),
            models.CheckConstraint(condition=Q(passes__lte=models.F("draws")), name="passes_within_draws"),
            models.CheckConstraint(condition=Q(draws__lte=models.F("drawn")), name="draws_within_drawn"),
        ]
        indexes = [
            models.Index(fields=["run", "state", "id"]),
            models.Index(fields=["lease_until"], condition=Q(lease_until__isnull=False), name="leased_units"),
        ]

    def __str__(self) -> str:
        return f"unit {self.pk} of run {self.run_id}"


class Batch(models.Model):
    """Append-only: what one engine call added to a unit. Outcomes stand as bits in draw order."""

    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="batches")
    number = models.PositiveIntegerField()
    first_draw = models.PositiveIntegerField()
    draws = models.PositiveIntegerField()
    passes = models.PositiveIntegerField()
    bits = models.BinaryField("passes as bits in draw order, the first draw in the highest bit")
    seed = models.PositiveBigIntegerField()
    fingerprint = models.CharField("engine, version, weights", max_length=200)
    tokens = models.PositiveBigIntegerField()
    tokens_used = models.PositiveBigIntegerField("tokens of the draws that count", default=0)
    seconds = models.FloatField()
    fence = models.PositiveIntegerField()
    worker = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["unit_id", "number"]
        verbose_name_plural = "batches"
        constraints = [models.UniqueConstraint(fields=["unit", "number"], name="one_batch_a_number")]

    def __str__(self) -> str:
        return f"batch {self.number} of unit {self.unit_id}"

    @staticmethod
    def pack(passed: np.ndarray) -> bytes:
        """Outcomes in draw order as `bits` stores them."""
        return np.packbits(passed).tobytes()

    @property
    def passed(self) -> np.ndarray:
        """The outcomes in draw order: a boolean array of `draws` entries."""
        stored = np.frombuffer(bytes(self.bits), dtype=np.uint8)
        return np.unpackbits(stored, count=self.draws).astype(bool)


class Sample(models.Model):
    """Text of the first passes and first failures of a unit: bounded, for people to look at."""

    TEAM_PATH = "unit__run__checkpoint__series__team"
    KEPT = 4

    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="samples")
    draw = models.PositiveIntegerField()
    text = models.CharField(max_length=2000)
    passed = models.BooleanField()

    class Meta:
        ordering = ["unit_id", "draw"]
        constraints = [models.UniqueConstraint(fields=["unit", "draw"], name="one_sample_a_draw")]

    def __str__(self) -> str:
        return f"draw {self.draw} of unit {self.unit_id}"


class Likelihood(models.Model):
    """The exact likelihood of a reference answer and of its end, under one checkpoint at temperature 1, in nats."""

    TEAM_PATH = "checkpoint__series__team"

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="likelihoods")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="+")
    nll_answer = models.FloatField(null=True)
    nll_terminator = models.FloatField(null=True)
    tokens = models.PositiveIntegerField("tokens of the answer, without the terminator", null=True)
    fingerprint = models.CharField("engine, version, weights", max_length=200)
    refused = models.CharField("why there is none", max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["checkpoint", "instance"], name="one_likelihood")]

    def __str__(self) -> str:
        return f"likelihood of {self.instance} under {self.checkpoint}"

    @property
    def nll(self) -> float | None:
        """Answer and terminator together."""
        if self.nll_answer is None or self.nll_terminator is None:
            return None
        return self.nll_answer + self.nll_terminator


class EngineProbe(models.Model):
    """What an engine did with a checkpoint when it was loaded: its canary's answers, and its ceiling."""

    TEAM_PATH = "checkpoint__series__team"

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="probes")
    engine = models.CharField(max_length=20)
    prompt = models.TextField()
    answered = models.FloatField("share of the canary's answers that were not empty")
    tokens_per_second = models.FloatField("of the last load")
    fingerprint = models.CharField(max_length=200)
    probed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["checkpoint", "engine"], name="one_probe_an_engine")]

    def __str__(self) -> str:
        return f"{self.engine} with {self.checkpoint}"


class EngineWorker(models.Model):
    """A process that draws for one kind of engine, and when it was last heard of."""

    name = models.CharField("host/process id/start time", max_length=120)
    engine = models.CharField(max_length=20)
    seen_at = models.DateTimeField()
    version = models.CharField("of Firstlight, that it runs", max_length=40, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "engine"], name="one_worker_a_name_and_engine")
        ]

    def __str__(self) -> str:
        return f"{self.engine} by {self.name}"


class Quota(models.Model):
    """What a team may take of the engines, and where it stands among the teams that wait for them.

    turn: seconds of engines that were drawn for it; the team with the least goes next. One that comes back after a
    pause is lifted to the least of those that wait, so that it cannot save its turns up.
    """

    TEAM_PATH = "team"

    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="quota")
    turn = models.FloatField(default=0.0)
    most_open_runs = models.PositiveIntegerField(null=True, blank=True)
    most_draws_a_day = models.PositiveBigIntegerField(null=True, blank=True)
    most_engine_hours_a_day = models.FloatField(null=True, blank=True)

    def __str__(self) -> str:
        return f"quota of {self.team}"


class Usage(models.Model):
    """What was drawn for a team on one day of UTC."""

    TEAM_PATH = "team"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="usage")
    day = models.DateField()
    draws = models.PositiveBigIntegerField(default=0)
    engine_seconds = models.FloatField(default=0.0)

    class Meta:
        verbose_name_plural = "usage"
        constraints = [models.UniqueConstraint(fields=["team", "day"], name="one_usage_a_day")]

    def __str__(self) -> str:
        return f"usage of {self.team} on {self.day}"


class Doorbell(models.Model):
    """The outbox: a ring that stands here until a broker took it."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="doorbells")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"ring for run {self.run_id}"
