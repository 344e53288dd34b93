#!/usr/bin/env python
"""Django's command line, from a checkout. `platform/` is a source root: it goes in front of sys.path."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).resolve().parent
    sys.path[:0] = [str(root / "platform"), str(root)]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "firstlight.config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
