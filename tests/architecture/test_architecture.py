"""Which package may import which, what may be imported where, and what may be written and reached at run time."""

import ast
import os
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import mien

PACKAGE = Path(mien.__file__).parent
# package -> the packages it may import
ARROWS = {
    "core": set(),
    "data": {"core"},
    "recipes": {"core", "data"},
    "models": {"core"},
    "inference": {"core"},
    "evaluation": {"core", "data", "recipes", "inference"},
    "training": {"core", "data", "recipes", "models"},
}
BASE = {"core", "data", "recipes", "inference", "evaluation"}
ARROWS["export"] = ARROWS["explain"] = BASE | {"models", "training"}
ARROWS["apps"] = ARROWS["export"] | {"export", "explain"}
TRAINING_ONLY = {"torch", "lightning", "torchmetrics", "kornia", "sklearn", "matplotlib", "onnx"}


def imports_of(path):
    """Return the dotted names that a file imports, anywhere in it, TYPE_CHECKING blocks included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(PACKAGE.rglob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


@each_file
def test_packages_import_one_way(path):
    package = path.relative_to(PACKAGE).parts[0]
    if package.endswith(".py"):  # __init__ and __main__
        return
    packages = {name.split(".")[1] for name in imports_of(path) if name.startswith("mien.")} & ARROWS.keys()
    assert packages <= ARROWS[package] | {package}


def test_no_files_import_each_other_in_a_circle():
    modules = {}
    for path in FILES:
        parts = ("mien", *path.relative_to(PACKAGE).with_suffix("").parts)
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    del modules["mien"]  # it imports what is asked of it, when it is asked
    graph = {name: (imports_of(path) & modules.keys()) - {name} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@each_file
def test_base_packages_do_without_the_training_stack(path):
    relative = path.relative_to(PACKAGE)
    allowed = {"matplotlib"} if relative.parent.as_posix() == "evaluation/report" else set()
    if relative.parts[0] in BASE:
        assert {name.split(".")[0] for name in imports_of(path)} & TRAINING_ONLY <= allowed


def test_lightning_stays_in_training():
    users = {
        path.relative_to(PACKAGE).parts[0] for path in FILES if any(n.startswith("lightning") for n in imports_of(path))
    }
    assert users == {"training"}


def test_onnxruntime_is_imported_in_one_place():
    tools = (
        "onnxruntime.quantization",
        "onnxruntime.transformers",
    )  # these convert files; they do not run mien's networks
    users = [
        path.name
        for path in FILES
        if any(n.split(".")[0] == "onnxruntime" and not n.startswith(tools) for n in imports_of(path))
    ]
    assert users == ["onnx_session.py"]


WITHOUT_EXTRAS = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {sorted(TRAINING_ONLY)!r}:
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)
sys.meta_path.insert(0, Absent())
"""


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def test_recognition_evaluation_and_listing_work_without_the_training_stack(tiny_model, tmp_path):
    from skimage import data
    from skimage.io import imsave

    imsave(tmp_path / "astronaut.png", data.astronaut())
    code = (
        WITHOUT_EXTRAS
        + f"""
from mien.apps.cli import app
for words in (
    ['recognize', {str(tmp_path / "astronaut.png")!r}, '--model', {str(tiny_model)!r}, '--detector', 'haar'],
    ['evaluate', {str(tiny_model)!r}, '--dataset', 'synthetic', '--out', {str(tmp_path)!r}, '--json'],
    ['models', '--json'],
    ['bench', 'latency', '--model', {str(tiny_model)!r}, '--rounds', '1'],
):
    app(words, standalone_mode=False)
"""
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert '"without_duplicates"' in done.stdout


def test_training_without_its_extra_says_what_to_install():
    done = run(WITHOUT_EXTRAS + "import sys; sys.argv = ['mien', 'train', 'resnet18/synthetic']\nimport mien.__main__")
    assert done.returncode == 1
    assert "requires the extra 'train': pip install " in done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom mien.apps.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'cv2', 'onnxruntime', 'torch', 'PIL', 'pydantic'} & sys.modules.keys()))"
    )
    done = run(code)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_recognition_writes_only_where_told_and_opens_no_socket(tiny_model, tmp_path):
    from skimage import data
    from skimage.io import imsave

    home, work, out = tmp_path / "home", tmp_path / "work", tmp_path / "out"
    for folder in (home, work):
        folder.mkdir()
    imsave(work / "astronaut.png", data.astronaut())
    before = sorted(tmp_path.rglob("*"))
    code = f"""
import sys
refused = {{'socket.connect', 'socket.bind', 'socket.getaddrinfo', 'socket.sendto'}}
def watch(event, arguments):
    if event in refused:
        raise PermissionError(f'{{event}} {{arguments}}')
sys.addaudithook(watch)
import os
os.chdir({str(work)!r})
from mien.apps.cli import app
app(['recognize', 'astronaut.png', '--model', {str(tiny_model)!r}, '--save', {str(out)!r}], standalone_mode=False)
"""
    done = run(
        code,
        HOME=str(home),
        XDG_CACHE_HOME=str(home / "cache"),
        XDG_CONFIG_HOME=str(home / "config"),
        XDG_DATA_HOME=str(home / "data"),
        TMPDIR=str(home),
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert done.returncode == 0, done.stderr
    new = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
    assert new[0] == out
    assert all(path.is_relative_to(out) for path in new), new
    assert len(new) == 2
