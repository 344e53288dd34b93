"""Writes docs/openapi.json, the snapshot of the API's schema (`make openapi`)."""

import json
from pathlib import Path


def main() -> None:
    import django

    django.setup()
    from firstlight.api.docs import openapi

    file = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
    file.write_text(json.dumps(openapi(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
