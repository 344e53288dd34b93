"""The vLLM engine: vLLM's own core in this process, for checkpoints and draws that need a GPU (or a test on CPU)."""

from workers.engines.vllm.engine import VllmEngine

__all__ = ["VllmEngine"]
