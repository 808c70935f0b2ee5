from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from archives import bad_of, rows_of, write_archive
from numpy.typing import NDArray
from PIL import Image
from tiny_detector import spots
from tiny_model import MakeModel, tiny_card

from mien.apps.plugin_files import load_plugin_files
from mien.core import plugins
from mien.core.errors import ArchiveError, InterruptedArchiveError
from mien.inference.archive import pool
from mien.inference.archive.job import ArchiveSettings, Job, begin, lock, plan
from mien.inference.archive.listing import find_images
from mien.inference.archive.run import annotate
from mien.inference.archive.tables import Summary, join_parts
from mien.inference.archive.worker import ChunkWorker, Trace
from mien.inference.recognizer import Recognizer


def start_job(folder: Path, out: Path, model: Path, chunk: int = 4, detector: str = "none") -> Job:
    settings = ArchiveSettings(str(model), detector, workers=1, chunk=chunk)
    job = plan(folder, out, settings)
    job.parts.mkdir(exist_ok=True)
    return begin(job, folder, settings, 1, lambda _: None)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads a process's signals from /proc")
def test_ctrl_c_does_not_reach_the_first_worker() -> None:
    code = """
from pathlib import Path
from mien.inference.archive.pool import Member
member = Member(None)
print(Path(f"/proc/{member.process.pid}/status").read_text())
member.end()
"""
    status = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    (blocked,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:")]
    assert int(blocked, 16) & 1 << signal.SIGINT - 1


def finish(job: Job) -> Summary:
    """Annotate the only chunk of a job, and write the table."""
    ChunkWorker(job).annotate(0)
    out = job.parts.with_suffix("")
    return join_parts(job, out, out.with_suffix(".bad.jsonl"))


def test_images_are_sorted_by_path_without_hidden_files_and_linked_folders(tmp_path: Path) -> None:
    names = ["b.png", "a/2.JPG", "a/1.png", "a/new\nline.png", ".hidden/x.png", "a/.x.png", "notes.txt", "c-d/1.gif"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    expected = ["b.png", "gone.png", "a/1.png", "a/2.JPG", "a/new\nline.png", "c-d/1.gif"]
    assert list(find_images(tmp_path)) == expected


def test_a_folder_that_cannot_be_opened_is_listed_and_the_rest_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(tmp_path / "open", 2)
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(find_images(tmp_path)) == ["open/00000.png", "open/00001.png", "closed"]
    with pytest.raises(ArchiveError, match="cannot be read"):
        list(find_images(tmp_path / "closed"))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_list_gives_each_path_once_in_its_order(tmp_path: Path, end: bytes) -> None:
    lines = [b"z.png", b"a b.dat", b"caf\xe9.jpg", b"z.png", b"", *(b"%d.png" % i for i in range(20_000))]
    (tmp_path / "list.txt").write_bytes(end.join(lines))
    expected = ["z.png", "a b.dat", "caf\udce9.jpg", *(f"{i}.png" for i in range(20_000))]
    assert list(find_images(tmp_path / "list.txt")) == expected


def test_a_file_that_is_not_a_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "movie.bin").write_bytes(b"x" * 300_000)
    with pytest.raises(ArchiveError, match="not a list of images"):
        list(find_images(tmp_path / "movie.bin"))


@pytest.mark.parametrize("chunk", [1, 3, 10, 99])
def test_chunks_hold_every_image_once(tmp_path: Path, tiny_model: Path, chunk: int) -> None:
    write_archive(tmp_path / "in", 10)
    job = start_job(tmp_path / "in", tmp_path / "out.parquet", tiny_model, chunk)
    chunks = [job.paths(number) for number in range(len(job.starts))]
    assert [path for paths in chunks for path in paths] == [f"{i:05}.png" for i in range(10)]
    assert [job.size(number) for number in range(len(chunks))] == [len(paths) for paths in chunks]


@pytest.mark.parametrize("detector", ["none", "haar"])
def test_rows_are_the_recognizers_results(
    tmp_path: Path, tiny_model: Path, astronaut: NDArray[np.uint8], detector: str
) -> None:
    folder = tmp_path / "in"
    write_archive(folder, 2)
    Image.fromarray(astronaut).save(folder / "astronaut.png")
    Image.fromarray(astronaut[:200, :300]).save(folder / "oblong.png")
    Image.fromarray(np.concatenate([astronaut, astronaut], axis=1)).save(folder / "twice.png")
    job = start_job(folder, tmp_path / "out.parquet", tiny_model, 99, detector)
    summary = finish(job)
    rows = rows_of(tmp_path / "out.parquet")
    recognizer = Recognizer(tiny_model, detector)
    expected = [
        recognizer.recognize(folder / row, source=row) for row in sorted(path.name for path in folder.iterdir())
    ]
    assert summary.images == 5
    assert summary.faces == sum(len(result.faces) for result in expected) > 0
    for result in expected:
        own = [row for row in rows if row["source"] == result.source]
        assert {(row["image_width"], row["image_height"]) for row in own} == {(result.width, result.height)}
        if not result.faces:
            assert [(row["face"], row["label"], row["happy"]) for row in own] == [(0, None, None)]
            continue
        assert [row["face"] for row in own] == list(range(1, len(result.faces) + 1))
        for row, face in zip(own, result.to_json()["faces"], strict=True):
            probabilities = face.pop("probabilities")
            flat = {**face, **probabilities, "unsure": int(face["unsure"])}
            assert {name: row[name] for name in flat} == pytest.approx(flat, abs=1e-4)


def test_a_file_on_which_two_workers_died_is_bad_and_the_rest_is_done(tmp_path: Path, tiny_model: Path) -> None:
    write_archive(tmp_path / "in", 6)
    job = start_job(tmp_path / "in", tmp_path / "out.parquet", tiny_model, 9)
    for _ in range(2):
        Trace(job.trace(0)).at(3)
    summary = finish(job)
    assert (summary.images, summary.bad) == (5, 1)
    assert bad_of(tmp_path / "out.parquet") == {"00003.png": "2 workers died on this file"}
    assert not job.trace(0).exists()


def test_workers_that_die_between_files_stop_the_job(tmp_path: Path, tiny_model: Path) -> None:
    write_archive(tmp_path / "in", 6)
    job = start_job(tmp_path / "in", tmp_path / "out.parquet", tiny_model, 9)
    for _ in range(3):
        Trace(job.trace(0))
    with pytest.raises(ArchiveError, match="fewer --workers"):
        ChunkWorker(job).annotate(0)


def test_join_refuses_damaged_parts(tmp_path: Path, tiny_model: Path) -> None:
    write_archive(tmp_path / "in", 6)
    job = start_job(tmp_path / "in", tmp_path / "out.parquet", tiny_model, 9)
    job.part(0).write_bytes(b"")
    with pytest.raises(ArchiveError, match=r"damaged .* remove it and rerun"):
        finish(job)
    assert not (tmp_path / "out.parquet").exists()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Annotate in this process; return the list of finished chunks."""
    finished: list[int] = []

    def run(job: Job, chunks: list[int], workers: int, stop: Callable[[], bool]) -> Iterator[int]:
        for number in chunks:
            if stop():
                return
            ChunkWorker(job).annotate(number)
            finished.append(number)
            yield number

    monkeypatch.setattr(pool, "run_processes", run)
    return finished


def test_a_stopped_job_continues(tmp_path: Path, tiny_model: Path, done: list[int]) -> None:
    write_archive(tmp_path / "in", 10)
    out, settings = tmp_path / "out.parquet", ArchiveSettings(str(tiny_model), "none", chunk=2)
    with pytest.raises(InterruptedArchiveError, match="6 of 10 images"):
        annotate(tmp_path / "in", out, settings, stop=lambda: len(done) == 3)
    progress: list[tuple[int, int | None]] = []
    summary = annotate(tmp_path / "in", out, settings, advance=lambda *n: progress.append(n))
    assert done == [0, 1, 2, 3, 4]
    assert progress == [(6, 10), (8, 10), (10, 10)]
    assert summary.images == 10
    assert [row["source"] for row in rows_of(out)] == [f"{i:05}.png" for i in range(10)]
    assert [row["label"] for row in rows_of(out)] == ["sad", "happy"] * 5
    assert not (tmp_path / "out.parquet.parts").exists()


def test_job_is_not_continued_with_other_settings(
    tmp_path: Path, tiny_model: Path, make_model: MakeModel, done: list[int]
) -> None:
    write_archive(tmp_path / "in", 10)
    write_archive(tmp_path / "other", 10)
    out = tmp_path / "out.parquet"
    with pytest.raises(InterruptedArchiveError):
        annotate(tmp_path / "in", out, ArchiveSettings(str(tiny_model), "none", chunk=2), stop=lambda: bool(done))
    warmer = make_model(tiny_card(temperature=2.0))
    for folder, settings, name in (
        ("in", ArchiveSettings(str(tiny_model), "haar"), "detector none, but now it is haar"),
        ("in", ArchiveSettings(str(warmer), "none"), "model_sha256"),
        ("in", ArchiveSettings(str(tiny_model), "none", use_rejection=False), "use_rejection"),
        ("in", ArchiveSettings(str(tiny_model), "none", views="flip"), "views one, but now it is flip"),
        ("other", ArchiveSettings(str(tiny_model), "none"), "input"),
    ):
        with pytest.raises(ArchiveError, match=name):
            annotate(tmp_path / folder, out, settings)
    assert (tmp_path / "out.parquet.parts" / "part-0000000.parquet").exists()


def test_a_job_names_the_detectors_model_file_and_the_plugin_files(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "plugin_files", {})
    own = "class Own:\n    name = 'own'\n    def __init__(self, file): pass\n    def detect(self, image): return []\n"
    (tmp_path / "plugin.py").write_text(own)
    (tmp_path / "weights.bin").write_bytes(b"x")
    (tmp_path / "in").mkdir()
    load_plugin_files([tmp_path / "plugin.py"])
    monkeypatch.chdir(tmp_path)
    job = plan(tmp_path / "in", tmp_path / "out.parquet", ArchiveSettings(str(tiny_model), "own:weights.bin"))
    assert job.detector == f"own:{tmp_path / 'weights.bin'}"
    assert job.plugins == (str(tmp_path / "plugin.py"),)
    assert len(job.description["detector_sha256"]) == 64
    plugins.plugin_files.clear()
    assert job.recognizer().detector.name == "own"


def test_a_job_keeps_the_smallest_face(tmp_path: Path, tiny_model: Path, tiny_detector: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(spots((96, 64), (48, 112), size=16)).save(folder / "spots.png")
    found = {}
    for pixels in (40, 160):
        detector = f"{tiny_detector}@{pixels}"
        job = start_job(folder, tmp_path / f"{pixels}.parquet", tiny_model, 9, detector)
        assert job.description["detector"] == f"mien@{pixels}"
        assert job.detector == f"mien:{tiny_detector}@{pixels}"
        assert len(job.description["detector_sha256"]) == 64
        found[pixels] = finish(job).faces
    assert found == {40: 2, 160: 0}


def test_a_job_is_locked(tmp_path: Path, tiny_model: Path) -> None:
    write_archive(tmp_path / "in", 2)
    job = plan(tmp_path / "in", tmp_path / "out.parquet", ArchiveSettings(str(tiny_model), "none"))
    with lock(job), pytest.raises(ArchiveError, match="Another process"), lock(job):
        pass


def test_a_folder_with_foreign_files_is_left_alone(tmp_path: Path, tiny_model: Path, done: list[int]) -> None:
    write_archive(tmp_path / "in", 2)
    (tmp_path / "out.parquet.parts").mkdir()
    (tmp_path / "out.parquet.parts" / "diary.txt").write_text("mine")
    with pytest.raises(ArchiveError, match=r"diary\.txt, which is not part of a job"):
        annotate(tmp_path / "in", tmp_path / "out.parquet", ArchiveSettings(str(tiny_model), "none"))
    assert [path.name for path in (tmp_path / "out.parquet.parts").iterdir()] == ["diary.txt"]
    assert done == []
