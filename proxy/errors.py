"""The one error of this package."""


class ProxyError(ValueError):
    """Scores or settings that cannot be used: one line that names the value and the remedy."""
