"""A tool's worker process: started in its environment, asked through JSON lines, ended when it hangs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Self

from lab.peers.setup import FOLDER
from lab.peers.tools import Tool
from mien.core.errors import MienError

ADAPTERS = Path(__file__).with_name("adapters")
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


class DiedError(MienError):
    """The tool's process ended by itself."""


class HungError(MienError):
    """The tool did not answer in time; its process was ended."""


class Session:
    """A running tool with its models loaded; use it in a `with` statement.

    Attributes:
        hello: Version, and the seconds that importing took.
        labels: The tool's labels, in the order of its scores.
        started: `time.perf_counter()` when the process was started.
    """

    def __init__(self, tool: Tool, threads: int | None = None) -> None:
        """Start the tool and load its models.

        Args:
            tool: It must be installed.
            threads: CPU threads; None: the tool's own choice.

        Raises:
            MienError: The tool could not be started.
        """
        self.tool = tool
        self.started = time.perf_counter()
        with (FOLDER / f"{tool.environment}.log").open("ab") as log:
            self._process = subprocess.Popen(
                _command(tool),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=FOLDER / tool.environment,
                env=_environment(threads),
            )
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.hello = self._answer(300)
        self.labels: list[str] = self.ask({"do": "load", "threads": threads}, 300)["labels"]

    def ask(self, request: dict[str, Any], seconds: float = 600) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            MienError: The tool raised an error, which the message names.
            DiedError: It ended.
            HungError: It took longer than `seconds`.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise DiedError(f"{self.tool.name} ended before it was asked.") from None
        answer = self._answer(seconds)
        if "error" in answer:
            raise MienError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()  # it ends with the process
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()
            raise HungError(f"{self.tool.name} did not answer in {seconds} s.") from None
        if not line:
            raise DiedError(f"{self.tool.name} ended; see {FOLDER / self.tool.environment}.log.")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _command(tool: Tool) -> list[str]:
    options = json.dumps(tool.options)
    if tool.runtime == "node":
        return ["node", str(ADAPTERS / "worker.mjs"), tool.adapter, options]
    return [str(FOLDER / tool.environment / "bin" / "python"), str(ADAPTERS / "worker.py"), tool.adapter, options]


def _environment(threads: int | None) -> dict[str, str]:
    """Return the variables of a worker: nothing of this checkout, no accelerator, files only below `FOLDER`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    kept |= {"HOME": str(FOLDER / "home"), "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return kept | ({name: str(threads) for name in ONE_THREAD} if threads else {})
