"""The one exception that carries a sentence for a person."""


class Refused(Exception):
    """A request that cannot be met: one line that names the value and the remedy. Forms and commands show it."""
