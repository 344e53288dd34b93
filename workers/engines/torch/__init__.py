"""The burst engine: many short draws side by side in one static batch, on CUDA or on the CPU."""

from workers.engines.torch.engine import TorchEngine

__all__ = ["TorchEngine"]
