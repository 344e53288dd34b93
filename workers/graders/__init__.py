"""Graders: did a text pass? Each is a small function of the text and the instance."""

from workers.graders.basic import REGISTRY, GraderRefusal, check_gradable, grade

__all__ = ["REGISTRY", "GraderRefusal", "check_gradable", "grade"]
