"""`python -m lab package`: build what is published, check it, and try it in empty environments.

`dist/` gets the source archive and, built from it, the wheel. The wheel is installed with each Python from 3.11 to 3.13
that is on the path, and the README's first commands are run there on two portraits in the public domain.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from email.parser import Parser
from pathlib import Path

from lab import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
# Of the wheel: models and weights in all, and everything.
MOST_WEIGHTS, MOST_BYTES = 8_000_000, 12_000_000
WEIGHTS = (".onnx", ".safetensors")
UNWANTED = ("tests/", "lab/", "results/", ".github/", "node_modules/", "__pycache__", ".pyc")


def check_files(names: Sequence[str], sizes: Sequence[int]) -> Iterator[str]:
    """Yield what is wrong with the files of a wheel or a source archive."""
    yield from (f"{name} does not belong in it" for name in names if any(part in name for part in UNWANTED))
    weights = sum(size for name, size in zip(names, sizes, strict=True) if name.endswith(WEIGHTS))
    if weights > MOST_WEIGHTS:
        yield f"models and weights take {weights:,} bytes; at most {MOST_WEIGHTS:,}"
    if sum(sizes) > MOST_BYTES:
        yield f"{sum(sizes):,} bytes; at most {MOST_BYTES:,}"


def check_page(metadata: str, address: str) -> Iterator[str]:
    """Yield what an index would show wrongly: relative links, when the repository's address is known."""
    fields = Parser().parsestr(metadata)
    if address and not fields.get_all("Project-URL"):
        yield "no project addresses"
    text = fields.get_payload()
    if address and ("](docs/" in text or "](results/" in text):
        yield "the description has relative links"


def build(folder: Path) -> tuple[Path, Path]:
    """Build the source archive from the files of the last commit, and the wheel from the archive; return both."""
    with tempfile.TemporaryDirectory() as place:
        committed = Path(place, "mien.tar")
        _run("git", "-C", str(ROOT), "archive", "--output", str(committed), "HEAD")
        with tarfile.open(committed) as archive:
            archive.extractall(Path(place, "mien"), filter="data")
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "build", "--outdir", str(folder), str(Path(place, "mien")))
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    _run(sys.executable, "-m", "twine", "check", "--strict", str(source), str(wheel))
    return source, wheel


def try_wheel(wheel: Path, python: str, folder: Path) -> str:
    """Install the wheel into an empty environment and run the README's first commands; return what they printed."""
    _run(python, "-m", "venv", str(folder))
    words = ["--quiet", "--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt")]
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", *words, str(wheel))
    photographs = folder / "photos"
    photographs.mkdir()
    for path in portraits():
        shutil.copy(path, photographs)
    mien = str(folder / "bin" / "mien")
    shown = _run(mien, "recognize", str(photographs), "--save", str(folder / "drawn"), "--format", "json")
    faces = [face for line in shown.splitlines() for face in json.loads(line)["faces"]]
    drawn = sorted(path.name for path in (folder / "drawn").iterdir())
    assert len(faces) == 2, shown
    assert drawn == sorted(path.name for path in portraits()), drawn
    return f"{_run(mien, '--version').strip()}, {', '.join(face['label'] for face in faces)}"


def find_python(version: str) -> str | None:
    """Return the path of an interpreter, or None if there is none on the path that runs."""
    python = shutil.which(f"python{version}")
    done = python and subprocess.run([python, "-c", ""], capture_output=True, check=False, env=_clean_environment())
    return python if done and not done.returncode else None


def portraits() -> list[Path]:
    """Return two portraits in the public domain that come with scikit-image and matplotlib."""
    import matplotlib
    import skimage

    astronaut = Path(skimage.__file__).parent / "data" / "astronaut.png"
    return [astronaut, Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"]


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=_clean_environment())
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def main() -> int:
    """Build, check and try; 1 if a check fails."""
    source, wheel = build(ROOT / "dist")
    with tarfile.open(source) as archive:
        members = [member for member in archive if member.isfile()]
        problems = list(check_files([member.name for member in members], [member.size for member in members]))
    with zipfile.ZipFile(wheel) as files:
        problems += check_files([info.filename for info in files.infolist()], [i.file_size for i in files.infolist()])
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        problems += check_page(files.read(name).decode(), os.environ.get("MIEN_REPOSITORY", ""))
    print("\n".join(f"{path.name}: {path.stat().st_size:,} bytes" for path in (source, wheel)))
    for version in PYTHONS:
        if (python := find_python(version)) is None:
            print(f"Python {version}: not on the path, not tried")
            continue
        with tempfile.TemporaryDirectory() as place:
            print(f"Python {version}: {try_wheel(wheel, python, Path(place))}", flush=True)
    print("\n".join(problems))
    return bool(problems)
