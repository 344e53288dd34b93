"""A process that reads the digests that wait, slowly enough to be killed; `register` makes one wait first."""

import sys
import time
from datetime import timedelta
from typing import Any


def main() -> None:
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from firstlight.registry import actions, digests
    from firstlight.registry.models import Checkpoint
    from firstlight.teams.actions import create_team
    from workers import digests as reader

    digests.LEASE = timedelta(seconds=2)
    if sys.argv[1] == "register":
        call_command("migrate", verbosity=0, interactive=False)
        user = User.objects.create_user("owner")
        team = create_team("Team", user)
        series = actions.create_series(user, team, name="s")
        recipe = actions.create_configuration(user, team, name="c", recipe={})
        actions.register_checkpoint(user, series, recipe, name="large", location="large")
    elif sys.argv[1] == "read":
        known = digests.progress

        def slowly(*arguments: Any) -> None:
            known(*arguments)
            time.sleep(0.3)

        reader.PACE = 0.0
        digests.progress = slowly
        reader.read_all()
    elif sys.argv[1] == "wait":
        until = time.monotonic() + 20
        while not reader.read_all() and time.monotonic() < until:
            time.sleep(0.2)
    row = Checkpoint.objects.get()
    print(row.digest_state, row.digest_read, row.digest_size, row.digest)


if __name__ == "__main__":
    main()
