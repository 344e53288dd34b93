from django.urls import path

from firstlight.pages.page import page, post
from firstlight.registry import configuration_views, endpoint_views, register_views, task_views, views

urlpatterns = [
    *page("series", views.series_list, "series-list"),
    *page("series/new", views.series_new, "series-new"),
    *page("checkpoints/register", register_views.checkpoints_register, "checkpoints-register"),
    *page("series/<int:pk>/register", register_views.series_register, "checkpoint-register"),
    *post("checkpoints/<int:pk>/digest", register_views.digest_again, "checkpoint-digest"),
    *page("series/<int:pk>/serve", endpoint_views.checkpoint_serve, "checkpoint-serve"),
    *page("series/<int:pk>/plan", views.checkpoint_plan, "checkpoint-plan"),
    *page("checkpoints/<int:pk>/attach", views.checkpoint_attach, "checkpoint-attach"),
    *page("configurations", configuration_views.configuration_list, "configuration-list"),
    *page("configurations/new", configuration_views.configuration_new, "configuration-new"),
    *page("configurations/<int:pk>", configuration_views.configuration, "configuration"),
    *page("configurations/<int:pk>/edit", configuration_views.configuration_edit, "configuration-edit"),
    *page("endpoints", endpoint_views.endpoint_list, "endpoint-list"),
    *page("endpoints/new", endpoint_views.endpoint_new, "endpoint-new"),
    *page("endpoints/<int:pk>/edit", endpoint_views.endpoint_edit, "endpoint-edit"),
    *page("tasks", task_views.task_list, "task-list"),
    *page("tasks/new", task_views.task_new, "task-new"),
    *page("tasks/<int:pk>", task_views.task, "task"),
    *post("tasks/<int:pk>/exclude", task_views.instances_exclude, "instances-exclude"),
    path("tasks/<int:pk>/left-out.csv", task_views.excluded_csv, name="excluded-csv"),
    *post("instances/<int:pk>/exclude", task_views.instance_exclude, "instance-exclude"),
]
