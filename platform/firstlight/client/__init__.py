"""A site of Firstlight for scripts and training loops. Needs Python's standard library and nothing else.

from firstlight.client import Firstlight
site = Firstlight("https://firstlight.example.org")  # the token from FIRSTLIGHT_TOKEN
site.register("runs/step-1000", series="ladder", configuration="base", step=1000).evaluate("sums")
"""

from firstlight.client.connection import SiteError
from firstlight.client.site import Checkpoint, Firstlight, Run

__all__ = ["Checkpoint", "Firstlight", "Run", "SiteError"]
