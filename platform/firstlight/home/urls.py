from django.urls import path

from firstlight.home import front, health, series_pages
from firstlight.pages.page import page

urlpatterns = [
    *page("", front.home, "home"),
    *page("series/<int:pk>", series_pages.series, "series"),
    *page("checkpoints/<int:pk>", series_pages.checkpoint, "checkpoint"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
