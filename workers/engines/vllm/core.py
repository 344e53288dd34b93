"""vLLM's engine core in this process, driven below its output processor.

`LLMEngine.step` decodes and assembles every output of every step, which costs a large part of the time of a
small model. Draws need neither, so requests are validated by vLLM's input processor, fanned out here, and the
core's outputs are handed to whoever submitted them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from copy import copy
from functools import partial
from typing import Any, Protocol

from workers.engines.base import EngineError, EngineOutOfMemory, EngineRefusal


class Sink(Protocol):
    """Takes the outputs of some rows.

    seconds: time of the steps so far, shared out among the rows of each.
    """

    seconds: float

    def take(self, row: int, output: Any) -> bool:
        """The next output of a row; True ends it, also where vLLM would go on."""
        ...


_open: Core | None = None
_SILENCE_SECONDS = 120.0


class Core:
    """One per process: vLLM keeps its distributed state and its random numbers in globals.

    arguments: keyword arguments of vLLM's `EngineArgs`.

    Raises EngineRefusal: vLLM cannot run the checkpoint with these arguments.
    Raises EngineError: another one is open in this process.
    """

    def __init__(self, **arguments: Any) -> None:
        global _open
        if _open is not None:
            raise EngineError("a vLLM engine is open in this process; close it before another is opened")
        import torch
        from vllm.engine.arg_utils import EngineArgs
        from vllm.v1.engine.llm_engine import LLMEngine

        set_threads = torch.set_num_threads
        try:
            # what vLLM and transformers say of a configuration is final, whatever class of exception they choose
            config = EngineArgs(**arguments).create_engine_config()
        except OSError as error:
            raise _translated(error, "vLLM could not read the checkpoint") from error
        except Exception as error:
            raise EngineRefusal(f"vLLM refuses {arguments['model']}: {_one_line(error)}") from error
        try:
            self._engine = LLMEngine.from_vllm_config(config, disable_log_stats=True)
        except (ValueError, NotImplementedError) as error:
            _clean_up()
            raise EngineRefusal(f"vLLM refuses {arguments['model']}: {_one_line(error)}") from error
        except Exception as error:
            _clean_up()
            raise _translated(error, "vLLM could not start") from error
        finally:
            torch.set_num_threads = set_threads  # vLLM on a CPU replaces it for the whole process
        _open = self
        # compiling a helper of the sampler would cost a test on a CPU more than it gives, and need a C++ compiler
        eager = partial(torch.compiler.set_stance, "force_eager")
        self._mode: Callable[[], Any] = eager if arguments["enforce_eager"] else nullcontext
        self.context_length = int(self._engine.model_config.max_model_len)
        self._client = self._engine.engine_core
        self._tasks = self._engine.get_supported_tasks()
        self._rows: dict[str, tuple[Sink, int]] = {}
        self._counter = 0
        self._unclaimed = 0.0  # seconds of the steps since the last output

    def prepare(self, ids: Sequence[int], params: Any) -> Any:
        """A request that vLLM has validated, to be fanned out by `add`."""
        prompt = {"type": "token", "prompt_token_ids": list(ids)}
        try:
            return self._engine.input_processor.process_inputs("", prompt, params, self._tasks)
        except ValueError as error:
            raise EngineRefusal(f"vLLM refuses the request: {_one_line(error)}") from error

    def add(self, sink: Sink, request: Any, seeds: Sequence[int | None]) -> list[str]:
        """One sequence a seed, row by row; the ids by which they can be aborted."""
        names = []
        # a set, since vLLM looks up every token drawn
        request.sampling_params.stop_token_ids = frozenset(request.sampling_params.stop_token_ids or ())
        for row, seed in enumerate(seeds):
            child, params = copy(request), copy(request.sampling_params)
            params.seed = seed
            self._counter += 1
            child.request_id, child.sampling_params = str(self._counter), params
            self._rows[child.request_id] = (sink, row)
            self._client.add_request(child)
            names.append(child.request_id)
        return names

    def step(self) -> None:
        """One step of the core; its outputs go to their sinks.

        Raises EngineError: everything in flight is lost.
        """
        began = time.perf_counter()
        try:
            with self._mode():
                outputs = self._client.get_output().outputs
        except Exception as error:
            self._give_up()
            raise _translated(error, "vLLM failed") from error
        self._unclaimed += time.perf_counter() - began
        if not outputs:
            if self._unclaimed > _SILENCE_SECONDS:
                self._give_up()
                raise EngineError(
                    f"vLLM gave no output for {_SILENCE_SECONDS:.0f} s; its engine is dead inside"
                )
            return
        share, self._unclaimed = self._unclaimed / len(outputs), 0.0
        ended_here = []
        for output in outputs:
            place = self._rows.get(output.request_id)
            if place is None:  # aborted while the step ran
                continue
            sink, row = place
            sink.seconds += share
            if sink.take(row, output):
                del self._rows[output.request_id]
                if output.finish_reason is None:
                    ended_here.append(output.request_id)
            elif output.finish_reason is not None:
                self._give_up()
                raise EngineError(f"vLLM ended a sequence by {output.finish_reason}")
        self._client.abort_requests(ended_here)

    def abort(self, names: Iterable[str]) -> None:
        """Take sequences out; ended ones pass."""
        running = [name for name in names if self._rows.pop(name, None) is not None]
        self._client.abort_requests(running)

    def close(self) -> None:
        """Free the device's memory. More than once does no harm."""
        global _open
        if _open is not self:
            return
        _open = None
        self._rows.clear()
        self._client.shutdown()
        self._engine.renderer.shutdown()
        del self._client, self._engine
        _clean_up()

    def _give_up(self) -> None:
        """After a failed step: nothing may stay behind that a later step would trip over."""
        names = list(self._rows)
        self._rows.clear()
        try:
            self._client.abort_requests(names)
        except Exception:  # the core is beyond help; whoever catches the first error closes it
            return


def _translated(error: Exception, what: str) -> EngineError:
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return EngineOutOfMemory(f"{what}: {_one_line(error)}")
    return EngineError(f"{what}: {type(error).__name__}: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:400] or type(error).__name__


def _clean_up() -> None:
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    gc.collect()
    cleanup_dist_env_and_memory()
