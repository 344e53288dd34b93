"""A forecast: made from measured checkpoints, locked before its target is trained, scored when the model arrives."""

from django.conf import settings
from django.db import models

from firstlight.registry.models import Checkpoint, Series, Task


class Forecast(models.Model):
    TEAM_PATH = "series__team"

    series = models.ForeignKey(Series, on_delete=models.PROTECT, related_name="forecasts")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="forecasts")
    target = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="forecasts")
    level = models.FloatField(default=0.9)
    method = models.CharField(max_length=40, blank=True)
    mean = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    refused = models.CharField("why there is none", max_length=500, blank=True)
    result = models.JSONField("the whole answer of the library", default=dict)
    inputs = models.JSONField("runs that went in", default=list)
    inputs_digest = models.CharField(max_length=80)
    version = models.CharField("of Firstlight, whose methods answered", max_length=40, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)
    locked_at = models.DateTimeField(null=True)
    measured_run = models.ForeignKey(
        "evaluations.Run", null=True, on_delete=models.PROTECT, related_name="scored_forecasts"
    )
    measured = models.FloatField(null=True)
    measured_low = models.FloatField(null=True)
    measured_high = models.FloatField(null=True)
    scored_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["task", "target"], name="one_forecast_a_task_and_target"),
        ]

    def __str__(self) -> str:
        return f"{self.task} at {self.target}"

    @property
    def hit(self) -> bool | None:
        """Whether the measured value lies inside the interval; None until it is measured."""
        if self.measured is None or self.low is None or self.high is None:
            return None
        return self.low <= self.measured <= self.high
