"""Load a network to explain: from a run folder with torch, or from an .onnx file without it."""

from __future__ import annotations

from pathlib import Path

from mien.explain.methods import Explainer
from mien.inference.model import OnnxModel, model_files


def load_explainer(model: str | Path, threads: int = 1) -> Explainer:
    """Load a network to explain.

    Args:
        model: A run folder, for all methods; or a model's name or .onnx file, for occlusion.
        threads: CPU threads, at least 1; for a run folder, those of torch in this process.

    Raises:
        MienError: There is no such model, or the folder holds no finished run.
    """
    if is_run_folder(model):
        from mien.explain.torch_explainer import load_run_explainer

        return load_run_explainer(Path(model), threads)
    loaded = OnnxModel.load(model, threads)
    return Explainer(loaded, loaded.source)


def is_run_folder(model: str | Path) -> bool:
    """Tell whether a model is a run folder rather than a model's name or an .onnx file."""
    return Path(model).is_dir() and str(model) not in model_files()
