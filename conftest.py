"""Before settings load: tests write below a temporary folder of their own, on SQLite unless told otherwise."""

import os
import tempfile

_home = tempfile.mkdtemp(prefix="firstlight-tests-")
os.environ["FIRSTLIGHT_HOME"] = _home
os.environ.setdefault("FIRSTLIGHT_LOG_LEVEL", "WARNING")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "firstlight.config.settings")
