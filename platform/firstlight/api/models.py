"""What the API remembers of requests: an idempotency key and the answer that it got."""

from django.conf import settings
from django.db import models


class IdempotentRequest(models.Model):
    """A POST with an `Idempotency-Key`: written in the transaction of its change, so both stand or neither."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    digest = models.CharField("SHA-256 of method, address and body", max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_request_a_key")]

    def __str__(self) -> str:
        return f"{self.key} of {self.user}"
