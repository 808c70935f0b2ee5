"""`mien models`: the model files that can be used by name are listed beside the networks."""

import json
import shutil

from typer.testing import CliRunner

from mien.apps.cli import app


def test_files_in_the_users_folder_are_listed(tiny_model, tmp_path, monkeypatch):
    shutil.copy(tiny_model, tmp_path / "mine.onnx")
    monkeypatch.setenv("MIEN_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    done = CliRunner().invoke(app, ["models", "--files", "--json"])
    rows = {row["name"]: row for row in json.loads(done.output)}
    size = tiny_model.stat().st_size
    assert rows["mine"] == {"name": "mine", "file": str(tmp_path / "mine.onnx"), "bytes": size}
    assert "default" in rows
    for words in (["models"], ["models", "--files"]):
        shown = CliRunner().invoke(app, words).output
        assert "mine.onnx" in shown
        assert ("resnet18" in shown) == (words == ["models"])
    networks = json.loads(CliRunner().invoke(app, ["models", "--json"]).output)
    assert all("macs" in row for row in networks)
