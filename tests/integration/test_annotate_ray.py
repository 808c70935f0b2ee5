"""The same job through Ray: the same rows, and nothing lost when a worker is killed."""

from __future__ import annotations

import os
import signal

import pytest
from archives import bad_of, rows_of, start, worker_of, write_archive

pytest.importorskip("ray", reason="the extra `ray` is not installed")

COUNT = 2000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ray_gives_the_same_rows_though_a_worker_is_killed(tmp_path, tiny_model):
    folder = tmp_path / "in"
    write_archive(folder, COUNT)
    (folder / "bad.png").write_text("not an image")
    arguments = ["--model", tiny_model, "--detector", "none", "--workers", 2, "--chunk", 20]
    plain, clustered = tmp_path / "plain.parquet", tmp_path / "clustered.parquet"
    running = start(folder, "-o", clustered, *arguments, "--ray", "local")
    os.kill(worker_of(tmp_path / "clustered.parquet.parts", running), signal.SIGKILL)
    _, err = running.communicate(timeout=400)
    assert running.returncode == 0, err
    assert "Traceback" not in err
    done = start(folder, "-o", plain, *arguments)
    done.communicate(timeout=200)
    assert rows_of(clustered) == rows_of(plain)
    assert bad_of(clustered) == bad_of(plain)
    assert len(rows_of(plain)) == COUNT


@pytest.mark.slow
def test_cluster_that_is_not_there_is_one_line(tmp_path, tiny_model):
    write_archive(tmp_path / "in", 2)
    running = start(
        tmp_path / "in", "-o", tmp_path / "out.parquet", "--model", tiny_model, "--detector", "none",
        "--ray", "127.0.0.1:1",
    )  # fmt: skip
    _, err = running.communicate(timeout=200)
    assert running.returncode == 1
    assert "Ray at '127.0.0.1:1' cannot be used" in err
    assert "Traceback" not in err
