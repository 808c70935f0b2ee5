"""Peak memory of scoring one face, compared with a well-known network, each in a process of its own.

`python -m mien.evaluation.memory MODEL` is such a process: it loads numpy and onnxruntime, notes its peak, loads the
model, scores one face, and prints both peaks. The difference is the model's cost in a program that uses both libraries
anyway; it is mostly that of loading, during which onnxruntime holds the file and the network at once.
"""

from __future__ import annotations

import contextlib
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError, ModelError
from mien.inference.model import OnnxModel
from mien.inference.model_files import read_model

MIB = 2**20


def measure_memory(models: Sequence[str], reference: bytes | None) -> dict[str, Any]:
    """Measure the peak memory of models and of a reference network: load it, then score one face on one thread.

    `models` are names or paths of .onnx files, `reference` the bytes of one.

    Returns:
        A JSON-ready dict without dates or paths: `models`, each with `network`, `input` (N, C, H, W), its peak `mib`
        in MiB (2**20 bytes) above that of a process with only numpy and onnxruntime, and `ratio`, the reference's peak
        over this one's; `reference`, the same; `system` and `onnxruntime`. Without a reference, it and ratios are None.

    Raises:
        MienError: A model cannot be used, or this system does not report the peak.
    """
    for model in models:
        read_model(model)  # says what is wrong with it, in this process
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        path = Path(folder) / "reference.onnx"
        path.write_bytes(reference or b"")
        uses = [_measure_apart(model) for model in (*models, *([str(path)] if reference else []))]
    peak = uses[-1]["mib"] if reference else None
    uses = [use | {"mib": round(use["mib"], 1), "ratio": round(peak / use["mib"], 2) if peak else None} for use in uses]
    return {
        "models": uses[: len(models)],
        "reference": uses[-1] if reference else None,
        "system": f"{platform.system()} {platform.machine()}",
        "onnxruntime": version("onnxruntime"),
    }


def read_peak() -> int:
    """Return the peak resident memory of this process so far, in bytes.

    Reads VmHWM on Linux, where a process inherits `ru_maxrss` from its parent.

    Raises:
        MienError: This system does not report it.
    """
    if sys.platform == "linux":
        peak = process_memory("VmHWM")
        if peak is not None:
            return peak
    elif sys.platform != "win32":
        import resource

        # bytes on macOS, KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    raise MienError(f"Peak memory cannot be measured on {platform.system()} here; use Linux or macOS.")


def process_memory(key: str, process: int | str = "self") -> int | None:
    """Return an entry of a process's memory on Linux, in bytes; None if there is none.

    `key` is "VmRSS" (resident now) or "VmHWM" (peak so far).
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{key}:")]
    return 1024 * int(found[0]) if found else None


def main(model: str) -> None:
    """Print a model's name and input, and how far loading it and scoring one face raise the peak, in MiB, as JSON."""
    # loads onnxruntime, before it refuses the empty file
    with contextlib.suppress(ModelError):
        OnnxModel(b"", "nothing")
    before = read_peak()
    loaded = OnnxModel.load(model)
    spec = loaded.card.input
    shape = [1, spec.channels, spec.size, spec.size]
    loaded.predict(np.zeros(shape, dtype=np.float32))
    print(json.dumps({"network": loaded.card.name, "input": shape, "mib": (read_peak() - before) / MIB}))


def _measure_apart(model: str) -> dict[str, Any]:
    """Return what `main` prints in a new process."""
    # -P: do not import modules from the current folder
    command = [sys.executable, "-P", "-m", "mien.evaluation.memory", model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise MienError(f"Measuring the memory of '{model}' ended with exit code {done.returncode}: {reason}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


if __name__ == "__main__":
    main(sys.argv[1])
