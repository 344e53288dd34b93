"""Graders: did a text pass? Each is a small function of the text and the instance."""

from workers.graders.basic import REGISTRY, grade

__all__ = ["REGISTRY", "grade"]
