"""Four people open one invitation at the same time, on the database of FIRSTLIGHT_DATABASE_URL; prints who got in."""

import sys
import threading


def main() -> None:
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from firstlight.files.errors import Refused
    from firstlight.teams.actions import create_team
    from firstlight.teams.invitations import accept_as_new, invite
    from firstlight.teams.models import Membership

    call_command("migrate", verbosity=0, interactive=False)
    owner = User.objects.create_user("owner")
    _, secret = invite(owner, create_team("Dawn", owner), role="member")
    start = threading.Barrier(4)
    outcomes: list[str] = []

    def enter(name: str) -> None:
        start.wait()
        try:
            accept_as_new(secret, username=name, password="dawn-over-the-hills")
            outcomes.append("in")
        except Refused as error:
            outcomes.append(str(error).partition(":")[0])
        finally:
            connection.close()

    threads = [threading.Thread(target=enter, args=(f"p{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(
        "; ".join([*sorted(outcomes), str(Membership.objects.count()), str(User.objects.count())])
    )


if __name__ == "__main__":
    main()
