"""Install each tool in an environment of its own: `build/peers/NAME`, a Python environment or a folder for npm."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab import ROOT
from lab.peers.tools import OURS, Tool
from mien.core.errors import MienError

FOLDER = ROOT / "build" / "peers"
VERSIONS = Path(__file__).with_name("environments")
MIB = 1024 * 1024
# What an empty environment already has.
SEEDS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")


def install(tool: Tool) -> dict[str, Any]:
    """Install a tool unless its environment is there already; return its size, number of packages and largest parts.

    Raises:
        MienError: The installation failed.
    """
    folder, measured = FOLDER / tool.environment, FOLDER / f"{tool.environment}.json"
    wanted = _fingerprint(tool)
    if measured.exists():
        record: dict[str, Any] = json.loads(measured.read_text(encoding="utf-8"))
        if record.pop("fingerprint") == wanted:
            return record
    (_install_node if tool.runtime == "node" else _install_python)(tool, folder)
    packages = find_packages(folder, tool.runtime)
    record = {
        "mib": round(sum(packages.values()) / MIB, 1),
        "packages": count_packages(packages, tool.runtime),
        "largest": {name: round(size / MIB, 1) for name, size in sorted(packages.items(), key=lambda x: -x[1])[:5]},
    }
    measured.write_text(json.dumps({**record, "fingerprint": wanted}), encoding="utf-8")
    return record


def find_packages(folder: Path, runtime: str) -> dict[str, int]:
    """Return the bytes of each package of an environment; for Python, of each entry that pip brought."""
    if runtime == "node":
        top = folder / "node_modules"
        places = [p for p in top.iterdir() if p.is_dir() and not p.name.startswith((".", "@"))]
        places += [p for scope in top.glob("@*") for p in scope.iterdir()]
        return {place.relative_to(top).as_posix(): _bytes(place) for place in places}
    (site,) = folder.glob("lib/python*/site-packages")
    return {
        place.name: _bytes(place)
        for place in site.iterdir()
        if place.name != "__pycache__" and not place.name.startswith(SEEDS)
    }


def count_packages(parts: Mapping[str, int], runtime: str) -> int:
    """Return the number of packages; in Python, a package has several parts, and one folder with its metadata."""
    return len(parts) if runtime == "node" else sum(name.endswith(".dist-info") for name in parts)


def count_plain(log: str) -> dict[str, Any]:
    """Return what an ordinary `pip install` would install, from the output of `pip install --dry-run`."""
    (line,) = re.findall(r"^Would install (.*)$", log, re.MULTILINE)
    units = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "bytes": 1.0}
    sizes = dict(re.findall(r"Downloading (\S+\.(?:whl|tar\.gz|zip)) \(([\d.]+ \w+)\)", log))
    total = sum(float(size.split()[0]) * units[size.split()[1]] for size in sizes.values())
    names = line.split()
    return {
        "packages": len(names),
        "download_mb": round(total / 1e6),
        "notable": [name for name in names if name.startswith(("torch-", "tensorflow-", "opencv", "nvidia", "triton"))],
    }


def _install_python(tool: Tool, folder: Path) -> None:
    if not (folder / "bin" / "python").exists():
        _run([sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if tool.environment == OURS:
        _run([*pip, "--constraint", str(ROOT / "constraints.txt"), f"{ROOT}[video]"])
        _run([*pip, "--force-reinstall", "--no-deps", str(ROOT)])
        return
    file = VERSIONS / f"{tool.environment}.txt"
    # A complete list needs no resolution, which would bring what the tool declares and this comparison does not use.
    is_complete = "# complete" in file.read_text(encoding="utf-8")
    _run([*pip, *["--no-deps"] * is_complete, "--requirement", str(file)])


def _install_node(tool: Tool, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in (VERSIONS / tool.environment).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"], folder)


def _fingerprint(tool: Tool) -> str:
    """Return a digest of what an environment is made from: its versions, or this package's code."""
    place = ROOT / "src" if tool.environment == OURS else VERSIONS
    pattern = "**/*" if tool.environment == OURS else f"{tool.environment}*/**/*"
    files = sorted({*place.glob(pattern), *place.glob(f"{tool.environment}*")})
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(file.relative_to(place).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _bytes(place: Path) -> int:
    files = place.rglob("*") if place.is_dir() else [place]
    return sum(file.lstat().st_size for file in files if file.is_file())


def _run(words: list[str], folder: Path = ROOT) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise MienError(f"'{' '.join(words[:4])} ...' failed: {lines[-1][:200]}")
