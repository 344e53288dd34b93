from django.urls import path

from firstlight.home import front, health, models_measured
from firstlight.pages.page import page

urlpatterns = [
    *page("", front.home, "home"),
    *page("series/<int:pk>", models_measured.series, "series"),
    *page("checkpoints/<int:pk>", models_measured.checkpoint, "checkpoint"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
