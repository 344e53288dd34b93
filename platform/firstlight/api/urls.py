"""Where the API answers: /api/v1/, its schema, and the page that describes it."""

from django.urls import include, path

from firstlight.api import docs, routes  # noqa: F401  # routes: the operations
from firstlight.api.site import addresses

urlpatterns = [
    path("api/v1/docs", docs.docs, name="api-docs"),
    path("api/v1/", include((addresses(), "api"))),
]
