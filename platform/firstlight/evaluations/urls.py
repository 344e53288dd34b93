from django.urls import path

from firstlight.evaluations import instance_views, new_run, views
from firstlight.pages.page import page, post

urlpatterns = [
    *page("instances/<int:pk>", instance_views.instance, "instance"),
    *page("runs", views.run_list, "run-list"),
    *page("runs/new", new_run.run_new, "run-new"),
    *page("runs/<int:pk>", views.run, "run"),
    path("runs/<int:pk>/live", views.run_live, name="run-live"),
    path("runs/<int:pk>/units.csv", views.run_csv, name="run-csv"),
    *post("runs/<int:pk>/pause", views.run_pause, "run-pause"),
    *post("runs/<int:pk>/resume", views.run_resume, "run-resume"),
    *post("runs/<int:pk>/priority", views.run_priority, "run-priority"),
    *post("runs/<int:pk>/cancel", views.run_cancel, "run-cancel"),
    *post("runs/<int:pk>/retry", views.run_retry, "run-retry"),
]
