"""`mien annotate` as people run it: interrupted, killed, with bad files and bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter

import pyarrow.parquet as pq
import pytest
from archives import bad_of, rows_of, start, wait_for, worker_of, write_archive

COUNT = 1600


@pytest.fixture
def arguments(tmp_path, tiny_model):
    """The command's arguments for an archive of many images, in chunks of 20."""
    write_archive(tmp_path / "in", COUNT)
    out = tmp_path / "out.parquet"
    return [tmp_path / "in", "-o", out, "--model", tiny_model, "--detector", "none", "--workers", 2, "--chunk", 20]


def check_complete(out):
    rows = rows_of(out)
    assert [row["source"] for row in rows] == [f"{i:05}.png" for i in range(COUNT)]
    assert Counter(row["label"] for row in rows) == {"sad": COUNT / 2, "happy": COUNT / 2}
    assert bad_of(out) == {}
    assert not out.with_name("out.parquet.parts").exists()


def test_bad_files_are_listed_and_the_rest_is_annotated(mien, tmp_path, tiny_model, hopper):
    folder = tmp_path / "in"
    write_archive(folder / "faces", 40)
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("not an image")
    (folder / "cut.jpg").write_bytes(hopper.read_bytes()[:5000])
    (folder / "gone.png").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.png")
    (folder / "new\nline.jpg").write_bytes(hopper.read_bytes())
    os.close(os.open(os.fsencode(folder) + b"/caf\xe9.png", os.O_CREAT))
    out = tmp_path / "out.parquet"
    code, printed, err = mien(
        "annotate", folder, "-o", out, "--model", tiny_model, "--detector", "none", "--workers", 1
    )
    assert code == 0
    assert "41 images, 41 faces" in printed
    assert "Expressions: " in printed
    assert "6 files could not be read" in err
    assert bad_of(out) == {
        "caf\\xe9.png": "the file is empty (0 bytes); expected an image file.",
        "cut.jpg": bad_of(out)["cut.jpg"],
        "empty.png": "the file is empty (0 bytes); expected an image file.",
        "gone.png": f"the file cannot be read (it is a link to {folder / 'nowhere'}, which does not exist).",
        "pipe.png": "the file cannot be read (it is a named pipe, not a file).",
        "text.jpg": bad_of(out)["text.jpg"],
    }
    assert "damaged or truncated" in bad_of(out)["cut.jpg"]
    assert "is not an image" in bad_of(out)["text.jpg"]
    assert "new\nline.jpg" in {row["source"] for row in rows_of(out)}
    description = json.loads(pq.read_schema(out).metadata[b"mien"])
    assert (description["model"], description["detector"], description["use_rejection"]) == ("tiny", "none", True)
    assert len(description["model_sha256"]) == 64
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.bad.jsonl", "out.parquet"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_run_again_each_file_appears_once(tmp_path, arguments, number):
    parts = tmp_path / "out.parquet.parts"
    stopped = start(*arguments)
    wait_for("part-*.parquet", parts, stopped)
    stopped.send_signal(number)
    _, err = stopped.communicate(timeout=60)
    if number == signal.SIGINT:
        assert stopped.returncode == 130
        assert "rerun to continue" in err
        assert "Traceback" not in err
    assert not (tmp_path / "out.parquet").exists()
    finished = len(list(parts.glob("part-*.parquet")))
    again = start(*arguments)
    _, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    assert err.startswith(f"Continuing: {20 * finished:,} of 1,600 images")
    check_complete(tmp_path / "out.parquet")


def test_worker_that_is_killed_is_replaced_and_nothing_is_lost(tmp_path, arguments):
    parts = tmp_path / "out.parquet.parts"
    running = start(*arguments)
    os.kill(worker_of(parts, running), signal.SIGKILL)
    _, err = running.communicate(timeout=200)
    assert running.returncode == 0, err
    check_complete(tmp_path / "out.parquet")


DEADLY = """
import os
from mien.core.types import Box, Detection
class Deadly:
    name = "deadly"
    def detect(self, image):
        if image.shape[:2] == (7, 7):
            os.kill(os.getpid(), 9)
        if image.shape[:2] == (9, 9):
            raise RuntimeError("nine")
        return [Detection(Box(0, 0, image.shape[1], image.shape[0]), 1.0)]
"""


def test_a_file_that_kills_its_workers_is_listed_and_plugin_files_reach_the_workers(tmp_path, tiny_model):
    from PIL import Image

    plugin = tmp_path / "own.py"
    plugin.write_text(DEADLY)
    folder = tmp_path / "in"
    write_archive(folder, 30)
    Image.new("L", (7, 7)).save(folder / "00003-deadly.png")
    Image.new("L", (9, 9)).save(folder / "00004-odd.png")
    out = tmp_path / "out.parquet"
    options = ["--plugin", plugin, "--detector", "deadly", "--keep-all", "--workers", 1]
    running = start(folder, "-o", out, "--model", tiny_model, *options)
    _, err = running.communicate(timeout=200)
    assert running.returncode == 0, err
    assert len(rows_of(out)) == 30
    assert bad_of(out) == {
        "00003-deadly.png": "2 workers died on this file",
        "00004-odd.png": "RuntimeError: nine",
    }


def test_a_full_disk_is_one_line_and_keeps_finished_chunks(arguments):
    """A limit on the size of files simulates a full disk."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)); "
        f"sys.argv = ['mien', 'annotate', *{list(map(str, arguments))!r}]\n"
        "from mien.apps.cli import main\n"
        "if __name__ == '__main__': main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot be written" in done.stderr
    assert "rerun to continue" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nowhere out.parquet", "no such folder"),
        ("empty out.parquet", "no images in this folder"),
        ("empty.txt out.parquet", "is empty"),
        ("in/00000.png out.parquet", "is a single image"),
        ("in out.csv", "does not end in .parquet"),
        ("in in/out.parquet", "outside of the folder"),
        ("in there.parquet", "already exists"),
        ("in /proc/nowhere/out.parquet", "cannot be written"),
        ("in out.parquet --detector har", "Did you mean 'haar'"),
        ("in out.parquet --model nome", "No model named"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(mien, tmp_path, tiny_model, words, message):
    source, out, *options = words.split()
    write_archive(tmp_path / "in", 3)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").touch()
    (tmp_path / "there.parquet").touch()
    before = sorted(tmp_path.rglob("*"))
    arguments = ["--model", tiny_model, "--detector", "none", *options]
    code, _, err = mien("annotate", tmp_path / source, "-o", tmp_path / out, *arguments)
    assert code == 1
    assert len(err.strip().splitlines()) == 1
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_without_readable_images_fails(mien, tmp_path, tiny_model):
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.png").write_text("not an image")
    out = tmp_path / "out.parquet"
    code, _, err = mien("annotate", tmp_path / "in", "-o", out, "--model", tiny_model, "--workers", 1)
    assert code == 1
    assert "3 files could not be read" in err
    assert len(bad_of(out)) == 3
    assert rows_of(out) == []
