"""The reference engine: NumPy only, Llama-shaped checkpoints, draws that can be repeated bit for bit."""

from workers.engines.reference.engine import ReferenceEngine

__all__ = ["ReferenceEngine"]
