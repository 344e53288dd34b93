"""Found first on the path of a site under test: the first judgement in it hangs, with the interpreter or without.

HANG_FLAG names a file that is there once somebody hung. HANG is "asleep", or "busy" where no other thread runs either.
"""

import os
import time
from typing import Any

if os.environ.get("HANG_FLAG"):
    from workers import scheduler

    judged = scheduler.judge

    def judge(*args: Any, **more: Any) -> Any:
        try:
            os.close(os.open(os.environ["HANG_FLAG"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return judged(*args, **more)
        if os.environ["HANG"] == "busy":
            sum(range(10**18))
        while True:
            time.sleep(3600)

    scheduler.judge = judge
