from django.urls import path

from firstlight.home import ending_views, front, health, series_pages
from firstlight.pages import limits
from firstlight.pages.page import page, post

urlpatterns = [
    *page("", front.home, "home"),
    *page("series/<int:pk>", series_pages.series, "series"),
    *page("checkpoints/<int:pk>", series_pages.checkpoint, "checkpoint"),
    *[
        pattern
        for kind, (_, page_name, _) in ending_views.KINDS.items()
        for pattern in post(f"{kind}/<int:pk>/change", ending_views.change(kind), f"{page_name}-change")
    ],
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("may-send", limits.ask, name="may-send"),
]
