"""The API with all its operations."""

from firstlight.api import (
    ending_operations,
    people_operations,
    registry_operations,
    run_operations,
    task_operations,
)
from firstlight.api.site import api

for _router in (
    registry_operations.router,
    task_operations.router,
    ending_operations.router,
    run_operations.router,
    run_operations.forecasts,
    people_operations.router,
):
    api.add_router("", _router)
