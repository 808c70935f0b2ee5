from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from archives import bad_of, rows_of, write_archive
from numpy.typing import NDArray
from PIL import Image

from mien.apps.plugin_files import load_plugin_files
from mien.core import plugins
from mien.core.errors import ImageError
from mien.core.image import Limits
from mien.inference.archive import worker
from mien.inference.archive.errors import ArchiveError, InterruptedArchiveError
from mien.inference.archive.job import ArchiveSettings, Job, begin, lock, plan
from mien.inference.archive.listing import find_images
from mien.inference.archive.run import Watcher, annotate
from mien.inference.archive.tables import join_parts
from mien.inference.archive.worker import ChunkWorker, Trace, read_file
from mien.inference.recognizer import Recognizer


def start_job(folder: Path, out: Path, model: Path, chunk: int = 4, detector: str = "none") -> Job:
    settings = ArchiveSettings(str(model), detector, workers=1, chunk=chunk)
    job = plan(folder, out, settings)
    job.parts.mkdir(exist_ok=True)
    return begin(job, folder, settings, 1, lambda _: None)


def test_images_are_sorted_by_path_without_hidden_files_and_linked_folders(tmp_path: Path) -> None:
    names = ["b.png", "a/2.JPG", "a/1.png", "a/new\nline.png", ".hidden/x.png", "a/.x.png", "notes.txt", "c-d/1.gif"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    expected = [b"a/1.png", b"a/2.JPG", b"a/new\nline.png", b"b.png", b"c-d/1.gif", b"gone.png"]
    assert list(find_images(tmp_path)) == expected


def test_a_folder_that_cannot_be_opened_is_listed_and_the_rest_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(tmp_path / "open", 2)
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: bytes) -> object:
        if path.endswith(b"closed"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(find_images(tmp_path)) == [b"closed", b"open/00000.png", b"open/00001.png"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_list_gives_each_path_once_in_its_order(tmp_path: Path, end: bytes) -> None:
    lines = [b"z.png", b"a b.dat", b"caf\xe9.jpg", b"z.png", b"", *(b"%d.png" % i for i in range(20_000))]
    (tmp_path / "list.txt").write_bytes(end.join(lines))
    found = list(find_images(tmp_path / "list.txt"))
    assert found[:3] == [b"z.png", b"a b.dat", b"caf\xe9.jpg"]
    assert found[3:] == [b"%d.png" % i for i in range(20_000)]


def test_a_file_that_is_not_a_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "movie.bin").write_bytes(b"x" * 300_000)
    with pytest.raises(ArchiveError, match="not a list of images"):
        list(find_images(tmp_path / "movie.bin"))


@pytest.mark.parametrize("chunk", [1, 3, 4, 10, 99])
def test_chunks_hold_every_image_once(tmp_path: Path, tiny_model: Path, chunk: int) -> None:
    write_archive(tmp_path / "in", 10)
    job = start_job(tmp_path / "in", tmp_path / "out.parquet", tiny_model, chunk)
    chunks = [job.paths(number) for number in range(len(job.starts))]
    assert [path for paths in chunks for path in paths] == [b"%05d.png" % i for i in range(10)]
    assert [job.size(number) for number in range(len(chunks))] == [len(paths) for paths in chunks]


@pytest.mark.parametrize("detector", ["none", "haar"])
def test_rows_are_the_recognisers_results(
    tmp_path: Path, tiny_model: Path, astronaut: NDArray[np.uint8], detector: str
) -> None:
    folder = tmp_path / "in"
    write_archive(folder, 2)
    Image.fromarray(astronaut).save(folder / "astronaut.png")
    Image.fromarray(astronaut[:200, :300]).save(folder / "oblong.png")
    Image.fromarray(np.concatenate([astronaut, astronaut], axis=1)).save(folder / "twice.png")
    job = start_job(folder, tmp_path / "out.parquet", tiny_model, 99, detector)
    ChunkWorker(job).annotate(0)
    summary = join_parts(job, tmp_path / "out.parquet", tmp_path / "out.bad.jsonl")
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
            flat = {**face, **probabilities}
            assert {name: row[name] for name in flat} == pytest.approx(flat, abs=1e-4)


def test_rejected_boxes_make_an_image_without_a_face(tmp_path: Path, make_model: object) -> None:
    from tiny_model import tiny_card

    model = make_model(tiny_card(reject_threshold=-1.0))  # type: ignore[operator]
    folder = tmp_path / "in"
    folder.mkdir()
    from skimage import data

    Image.fromarray(data.astronaut()).save(folder / "astronaut.png")
    job = start_job(folder, tmp_path / "out.parquet", model, 9, "haar")
    ChunkWorker(job).annotate(0)
    summary = join_parts(job, tmp_path / "out.parquet", tmp_path / "out.bad.jsonl")
    assert (summary.images, summary.without_face, summary.faces) == (1, 1, 0)


def test_a_file_on_which_two_workers_died_is_bad_and_the_rest_is_done(tmp_path: Path, tiny_model: Path) -> None:
    write_archive(tmp_path / "in", 6)
    job = start_job(tmp_path / "in", tmp_path / "out.parquet", tiny_model, 9)
    for _ in range(2):
        Trace(job.trace(0)).at(3)
    ChunkWorker(job).annotate(0)
    summary = join_parts(job, tmp_path / "out.parquet", tmp_path / "out.bad.jsonl")
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


def test_only_ordinary_files_within_the_limit_are_read(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 100)
    os.mkfifo(tmp_path / "pipe")
    assert read_file(os.fsencode(tmp_path / "big"), Limits()) == b"x" * 100
    assert len(read_file(os.fsencode(tmp_path / "big"), Limits(max_bytes=10))) == 11
    for name, reason in (
        ("pipe", "a folder, a pipe or a device"),
        ("", "a folder, a pipe or a device"),
        ("gone", "No such file"),
        ("null\0", "null character"),
    ):
        with pytest.raises(ImageError, match=reason):
            read_file(os.fsencode(str(tmp_path) + "/" + name), Limits())


def test_part_that_cannot_be_written_leaves_none(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    def fill(table: object, file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    write_archive(tmp_path / "in", 6)
    job = start_job(tmp_path / "in", tmp_path / "out.parquet", tiny_model, 9)
    monkeypatch.setattr(pq, "write_table", fill)
    with pytest.raises(OSError, match="No space left"):
        ChunkWorker(job).annotate(0)
    assert list(job.parts.glob("part-*")) == []


def test_join_refuses_parts_that_do_not_hold_each_image_once(tmp_path: Path, tiny_model: Path) -> None:
    write_archive(tmp_path / "in", 6)
    job = start_job(tmp_path / "in", tmp_path / "out.parquet", tiny_model, 3)
    chunks = ChunkWorker(job)
    chunks.annotate(0)
    chunks.annotate(1)
    job.part(1).write_bytes(b"")
    with pytest.raises(Exception, match="Parquet"):
        join_parts(job, tmp_path / "out.parquet", tmp_path / "out.bad.jsonl")
    assert not (tmp_path / "out.parquet").exists()


class InThisProcess:
    """Does the chunks here, and stops after some."""

    def __init__(self, most: int = 10**9) -> None:
        self.done: list[int] = []
        self.most = most

    def run(self, job: Job, chunks: list[int], workers: int, stop: object) -> object:
        for number in chunks[: self.most]:
            ChunkWorker(job).annotate(number)
            self.done.append(number)
            yield number

    def stop(self) -> bool:
        return len(self.done) >= self.most


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> type[InThisProcess]:
    def use(most: int = 10**9) -> InThisProcess:
        made = InThisProcess(most)
        monkeypatch.setattr("mien.inference.archive.pool.run_processes", made.run)
        return made

    return use  # type: ignore[return-value]


def test_a_stopped_job_continues_and_a_damaged_part_is_repeated(
    tmp_path: Path, tiny_model: Path, crew: type[InThisProcess]
) -> None:
    write_archive(tmp_path / "in", 10)
    out, settings = tmp_path / "out.parquet", ArchiveSettings(str(tiny_model), "none", chunk=2)
    first = crew(3)
    with pytest.raises(InterruptedArchiveError, match="6 of 10 images"):
        annotate(tmp_path / "in", out, settings, watcher=Watcher(stop=first.stop))
    (tmp_path / "out.parquet.parts" / "part-0000001.parquet").write_bytes(b"")
    second = crew()
    progress: list[tuple[int, int]] = []
    summary = annotate(tmp_path / "in", out, settings, watcher=Watcher(advance=lambda *n: progress.append(n)))
    assert second.done == [1, 3, 4]
    assert progress == [(4, 10), (6, 10), (8, 10), (10, 10)]
    assert summary.images == 10
    assert [row["source"] for row in rows_of(out)] == [f"{i:05}.png" for i in range(10)]
    assert [row["label"] for row in rows_of(out)] == ["sad", "happy"] * 5
    assert not (tmp_path / "out.parquet.parts").exists()


def test_job_is_not_continued_with_other_settings(
    tmp_path: Path, tiny_model: Path, make_model: object, crew: type[InThisProcess]
) -> None:
    from tiny_model import tiny_card

    write_archive(tmp_path / "in", 10)
    write_archive(tmp_path / "other", 10)
    out = tmp_path / "out.parquet"
    with pytest.raises(InterruptedArchiveError):
        annotate(
            tmp_path / "in", out, ArchiveSettings(str(tiny_model), "none", chunk=2), watcher=Watcher(stop=crew(1).stop)
        )
    warmer = make_model(tiny_card(temperature=2.0))  # type: ignore[operator]
    for folder, settings, name in (
        ("in", ArchiveSettings(str(tiny_model), "haar"), "detector none, but now it is haar"),
        ("in", ArchiveSettings(str(warmer), "none"), "model_sha256"),
        ("in", ArchiveSettings(str(tiny_model), "none", use_rejection=False), "use_rejection"),
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


def test_a_job_is_locked(tmp_path: Path, tiny_model: Path) -> None:
    write_archive(tmp_path / "in", 2)
    job = plan(tmp_path / "in", tmp_path / "out.parquet", ArchiveSettings(str(tiny_model), "none"))
    with lock(job), pytest.raises(ArchiveError, match="Another process"), lock(job):
        pass


def test_a_folder_with_foreign_files_is_left_alone(tmp_path: Path, tiny_model: Path, crew: type[InThisProcess]) -> None:
    crew()
    write_archive(tmp_path / "in", 2)
    (tmp_path / "out.parquet.parts").mkdir()
    (tmp_path / "out.parquet.parts" / "diary.txt").write_text("mine")
    with pytest.raises(ArchiveError, match=r"diary\.txt, which is not ours"):
        annotate(tmp_path / "in", tmp_path / "out.parquet", ArchiveSettings(str(tiny_model), "none"))
    assert [path.name for path in (tmp_path / "out.parquet.parts").iterdir()] == ["diary.txt"]


def test_forward_passes_are_bounded(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path / "in", 10)
    monkeypatch.setattr(worker, "FACES", 4)
    monkeypatch.setattr(worker, "FEWEST_FACES", 4)
    job = start_job(tmp_path / "in", tmp_path / "out.parquet", tiny_model, 10)
    chunks = ChunkWorker(job)
    sizes: list[int] = []
    score = chunks._recognizer.score

    def count(crops: list[NDArray[np.uint8]]) -> object:
        sizes.append(len(crops))
        return score(crops)

    monkeypatch.setattr(chunks._recognizer, "score", count)
    chunks.annotate(0)
    assert sizes == [4, 4, 2]
