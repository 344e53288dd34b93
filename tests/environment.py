"""A pytest plugin, loaded before Django's settings: tests write below a temporary folder of their own."""

import atexit
import os
import shutil
import tempfile

_home = tempfile.mkdtemp(prefix="firstlight-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["FIRSTLIGHT_HOME"] = _home
os.environ.setdefault("FIRSTLIGHT_LOG_LEVEL", "WARNING")
os.environ["DJANGO_SETTINGS_MODULE"] = "firstlight.config.settings"
# A deployment's choices must not leak into tests: each test that wants a server names it.
for _name in (
    "FIRSTLIGHT_DATABASE_URL",
    "FIRSTLIGHT_REDIS_URL",
    "FIRSTLIGHT_BROKER",
    "FIRSTLIGHT_MODEL_ROOTS",
):
    os.environ.pop(_name, None)
os.environ["FIRSTLIGHT_API_RATE"] = "100000/s"  # tests send as fast as they can; one sets a rate of its own
# Celery reads its broker once in a process. In-process tests ring nobody; tests of workers start programs of their own.
os.environ["FIRSTLIGHT_REDIS_URL"] = "memory://"
