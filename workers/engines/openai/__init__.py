"""The openai engine: models behind OpenAI-compatible completions endpoints (vLLM, SGLang, llama.cpp and others)."""

from workers.engines.openai.engine import OpenAIEngine

__all__ = ["OpenAIEngine"]
