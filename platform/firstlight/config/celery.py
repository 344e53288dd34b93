"""The Celery application, shared by the site (which only sends) and the workers (which import `workers.tasks`)."""

import os
from pathlib import Path

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "firstlight.config.settings")

app = Celery("firstlight")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()  # in every thread: apps ring by `celery.current_app` and do not import this module


def make_broker_folders() -> None:
    """The filesystem broker expects its folders to be there."""
    options = app.conf.broker_transport_options or {}
    for key in ("data_folder_in", "data_folder_out", "control_folder", "processed_folder"):
        if key in options:
            Path(options[key]).mkdir(parents=True, exist_ok=True)
