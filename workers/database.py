"""Django and its database, for programs that are not `manage.py`."""

import os
from importlib import import_module

from firstlight.config import places
from firstlight.files.errors import Refused


def set_up_django() -> None:
    """Load the settings; raises Refused where this installation's folder cannot be written."""
    import django
    from django.apps import apps
    from django.core.exceptions import ImproperlyConfigured

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "firstlight.config.settings")
    if places.database_url().startswith("postgres"):
        # an extra: where it is missing Django names neither the module nor the remedy
        import_module("psycopg")
    try:
        if not apps.ready:
            django.setup()
    except OSError as error:
        raise Refused(
            f"cannot write below {places.home()} ({error.strerror}): set FIRSTLIGHT_HOME to a folder of yours."
        ) from error
    except (ImproperlyConfigured, ValueError) as error:
        raise Refused(f"the settings do not load: {error}") from error


def prepare_database() -> None:
    """Apply the migrations; raises Refused where the database cannot be reached or written."""
    from django.core.management import call_command
    from django.db import DatabaseError, connection

    try:
        if connection.vendor == "sqlite" and not connection.is_in_memory_db():  # type: ignore[attr-defined]
            os.close(os.open(connection.settings_dict["NAME"], os.O_CREAT, 0o600))
        places.close_to_others()
        call_command("migrate", verbosity=0, interactive=False)
    except (DatabaseError, OSError) as error:
        raise Refused(
            f"the database {places.database_url().rpartition('@')[2]} cannot be written ({error}): "
            "check its permissions, or set FIRSTLIGHT_DATABASE_URL."
        ) from error
