"""What is studied: series, training configurations, checkpoints; and what they are asked: tasks and instances."""

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models

from firstlight.files.task_file import InstanceSpec
from firstlight.teams.models import Team


class Archivable(models.Model):
    """What people can put away: it leaves the lists and the choices of forms, and its evidence stands."""

    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class Excludable(models.Model):
    """What people can leave out of fits, with the reason; empty where it counts."""

    left_out = models.CharField("why fits leave it out", max_length=300, blank=True)

    class Meta:
        abstract = True


class Endpoint(models.Model):
    """A server with OpenAI's completions API. The site's administrators keep these rows; no team owns one.

    The key itself is never stored: the row names the environment variable of the workers that holds it.
    """

    name = models.CharField(max_length=60, unique=True)
    base_url = models.CharField("base URL", max_length=300)
    served = models.JSONField("names of the models that it serves", default=list)
    key_variable = models.CharField("variable of the key", max_length=100, blank=True)
    parallel = models.PositiveSmallIntegerField("requests at once", default=8)
    allow_private = models.BooleanField("may be a private address", default=False)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Series(Archivable):
    """Models that differ in size only (or in tokens)."""

    TEAM_PATH = "team"

    class ScaleAxis(models.TextChoices):
        PARAMETERS = "n_params", "Non-embedding parameters N"
        TOKENS = "tokens", "Training tokens D"
        COMPUTE = "compute", "Compute C = 6ND"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="series")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True, max_length=4000)
    scale_axis = models.CharField(max_length=10, choices=ScaleAxis, default=ScaleAxis.PARAMETERS)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "series"
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="one_series_a_name")]

    def __str__(self) -> str:
        return self.name


class TrainingConfiguration(Archivable, Excludable):
    """A recipe: data mixture and hyper-parameters. Immutable once a checkpoint uses it."""

    TEAM_PATH = "team"

    class Status(models.TextChoices):
        PLANNED = "planned", "Planned"
        RUNNING = "running", "Running"
        TRAINED = "trained", "Trained"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="configurations")
    name = models.CharField(max_length=120)
    recipe = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.PLANNED)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="one_configuration_a_name")]

    def __str__(self) -> str:
        return self.name


class Checkpoint(Archivable, Excludable):
    """One trained model, or a planned one: it has N and no weights, and forecasts aim at it."""

    TEAM_PATH = "series__team"
    SERVED = "endpoint:"

    class DigestState(models.TextChoices):
        KNOWN = "known", "Known"
        WAITING = "waiting", "Waiting for a worker"
        READING = "reading", "Being read"
        FAILED = "failed", "Failed"

    series = models.ForeignKey(Series, on_delete=models.PROTECT, related_name="checkpoints")
    configuration = models.ForeignKey(
        TrainingConfiguration, on_delete=models.PROTECT, related_name="checkpoints"
    )
    name = models.CharField(max_length=120)
    planned = models.BooleanField(default=False)
    n_params = models.PositiveBigIntegerField("non-embedding parameters N", validators=[MinValueValidator(1)])
    tokens = models.PositiveBigIntegerField("training tokens D", null=True, blank=True)
    step = models.PositiveBigIntegerField(null=True, blank=True)
    seed = models.BigIntegerField(null=True, blank=True)
    location = models.CharField("folder, or a model of the endpoints", max_length=1000, blank=True)
    tokenizer = models.CharField("folder of a served model's tokenizer", max_length=1000, blank=True)
    dtype = models.CharField(max_length=40, blank=True)
    source = models.CharField("hub id and commit that the folder came from", max_length=300, blank=True)
    digest = models.CharField(max_length=80, blank=True)
    # A worker reads all the bytes of the weights: runs wait until their digest is known.
    digest_state = models.CharField(max_length=8, choices=DigestState, default=DigestState.KNOWN)
    digest_read = models.PositiveBigIntegerField("bytes read so far", default=0)
    digest_size = models.PositiveBigIntegerField("bytes to read", default=0)
    digest_lease_until = models.DateTimeField(null=True)
    digest_error = models.CharField(max_length=500, blank=True)
    architecture = models.CharField(max_length=80, blank=True)
    context_length = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["n_params", "id"]
        constraints = [models.UniqueConstraint(fields=["series", "name"], name="one_checkpoint_a_name")]
        indexes = [
            models.Index(fields=["series", "digest"]),
            models.Index(
                fields=["id"],
                name="digests_to_read",
                condition=models.Q(digest_state__in=("waiting", "reading")),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def served_model(self) -> str:
        """The model's name at its endpoints, or "" for weights in a folder."""
        served = self.location.startswith(self.SERVED)
        return self.location.removeprefix(self.SERVED) if served else ""


class HubDownload(models.Model):
    """A revision of a model on the hub that comes, or came, into the hub's cache on the site's machine."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for a worker"
        RUNNING = "running", "Being downloaded"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    repository = models.CharField("hub id", max_length=200)
    revision = models.CharField(max_length=128)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    done = models.PositiveBigIntegerField("bytes that are here", default=0)
    total = models.PositiveBigIntegerField("bytes in all; 0 until it is known", default=0)
    error = models.CharField(max_length=500, blank=True)
    lease_until = models.DateTimeField(null=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "revision"], name="one_download_a_revision")
        ]

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}"


class Task(Archivable, Excludable):
    """A versioned set of instances; a new version whenever a score could change."""

    TEAM_PATH = "team"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="tasks")
    name = models.CharField(max_length=120)
    version = models.PositiveIntegerField(default=1)
    description = models.TextField(blank=True, max_length=4000)
    digest = models.CharField(max_length=80)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "-version"]
        constraints = [models.UniqueConstraint(fields=["team", "name", "version"], name="one_task_a_version")]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class Instance(models.Model):
    """One item of a task."""

    TEAM_PATH = "task__team"

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="instances")
    position = models.PositiveIntegerField()
    key = models.CharField("id in the file", max_length=200)
    prompt = models.TextField()
    answer = models.TextField(blank=True)
    grader = models.CharField(max_length=20)
    stop = models.JSONField(default=list)
    max_tokens = models.PositiveIntegerField()
    guess_rate = models.FloatField(default=0.0)
    excluded = models.CharField("why it is left out", max_length=300, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["task", "key"], name="one_instance_a_key")]

    def __str__(self) -> str:
        return self.key

    @property
    def spec(self) -> InstanceSpec:
        """The instance as engines and graders take it."""
        return InstanceSpec(
            id=self.key,
            prompt=self.prompt,
            answer=self.answer,
            grader=self.grader,
            stop=tuple(self.stop),
            max_tokens=self.max_tokens,
            guess_rate=self.guess_rate,
        )
