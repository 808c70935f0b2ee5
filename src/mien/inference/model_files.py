"""Model files: by the name of a shipped one, by path, or in the folder of a run."""

from __future__ import annotations

import os
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from mien.core.errors import ModelError, did_you_mean
from mien.core.paths import AnyPath
from mien.inference.onnx_session import read_file

WEIGHTS_VARIABLE = "MIEN_WEIGHTS"
# In the folder of a run.
MODEL, RECORD = "model.onnx", "record.json"


def model_files() -> dict[str, Traversable]:
    """Return the model files that can be used by name: NAME.onnx is NAME.

    They are in the package, in the folder that the environment variable MIEN_WEIGHTS names, and in `weights/` of the
    checkout that mien runs from; of files with the same name, the first counts. `ModelError`: MIEN_WEIGHTS is not a
    folder.
    """
    package = resources.files("mien")
    folders: list[Traversable] = [package / "assets"]
    if chosen := os.environ.get(WEIGHTS_VARIABLE):
        folders.append(Path(chosen))
        if not Path(chosen).is_dir():
            raise ModelError(f"{WEIGHTS_VARIABLE} is {chosen}, which is not a folder; expected one with .onnx files.")
    root = Path(str(package)).parents[1]
    if Path(str(package)).parent.name == "src" and (root / "pyproject.toml").is_file():
        folders.append(root / "weights")
    found: dict[str, Traversable] = {}
    for folder in folders:
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.name.endswith(".onnx"):
                found.setdefault(file.name.removesuffix(".onnx"), file)
    return dict(sorted(found.items()))


def find_model(name_or_path: AnyPath) -> tuple[Traversable, str]:
    """Return the file of a model, which may be missing if it was named by its path, and what errors call it.

    Raises:
        ModelError: There is no model of that name, or a run folder has no model file.
    """
    path, name = Path(name_or_path), os.fspath(name_or_path)
    is_name = isinstance(name_or_path, str) and path.name == name and not name.endswith(".onnx")
    known = model_files() if is_name else {}
    if name in known:
        return known[name], f"model '{name}'"
    if is_name and not path.exists():
        if name == "default":
            raise ModelError("This installation has no default model; name an .onnx file with --model FILE.")
        raise ModelError(
            f"No model named '{name}'.{did_you_mean(name, known)} Models: {', '.join(known) or 'none'}, or an .onnx "
            f"file or a run folder of `mien train`; {WEIGHTS_VARIABLE} may name a folder of more."
        )
    if (path / MODEL).is_file():
        path /= MODEL
    elif (path / RECORD).is_file():
        raise ModelError(f"{path} is a run without {MODEL}; write it with `mien export {path}`.")
    elif path.is_dir():
        raise ModelError(f"{path} is a folder; expected an .onnx file, a name or a run folder (with {MODEL}).")
    return path, str(path)


def read_model(name_or_path: AnyPath) -> tuple[bytes, str]:
    """Return a model's bytes, and what errors call it; see `OnnxModel.load` for the errors it raises."""
    path, source = find_model(name_or_path)
    return read_file(path, source), source
