"""Files are written completely or not at all."""

import os

import pytest

from mien.core.whole_file import whole_file, write_json, write_whole

CONTESTED = (False, True)


@pytest.mark.parametrize("is_contested", CONTESTED)
def test_replaces_the_old_file(tmp_path, is_contested):
    path = tmp_path / "record.json"
    write_whole(path, b"old", is_contested=is_contested)
    with whole_file(path, is_contested=is_contested) as file:
        file.write(b"ne")
        file.flush()
        assert path.read_bytes() == b"old"
        file.write(b"w")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
    write_json(path, {"é": 1})
    assert path.read_bytes() == b'{\n "\\u00e9": 1\n}\n'


@pytest.mark.parametrize("is_contested", CONTESTED)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, is_contested, error):
    path = tmp_path / "record.json"
    path.write_bytes(b"old")

    def write():
        with whole_file(path, is_contested=is_contested) as file:
            file.write(b"ne")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_error_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    path.write_bytes(b"old")

    def refuse(number):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output") as error:
        write_whole(path, b"new")
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_at_a_time_do_not_mix(tmp_path):
    path = tmp_path / "part"
    with whole_file(path, is_contested=True) as one, whole_file(path, is_contested=True) as other:
        one.write(b"one")
        other.write(b"other")
    assert path.read_bytes() == b"one"  # the last to end
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_and_a_missing_folder(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_whole(tmp_path / "shared", b"", is_contested=True)
    assert (tmp_path / "shared").stat().st_mode == (tmp_path / "plain").stat().st_mode
    with pytest.raises(FileNotFoundError) as error:
        write_whole(tmp_path / "nowhere" / "file", b"")
    assert error.value.filename == str(tmp_path / "nowhere" / "file")


def test_a_folder_of_the_name_is_not_replaced(tmp_path):
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(IsADirectoryError) as error:
        write_whole(tmp_path / "model.onnx", b"")
    assert error.value.filename == str(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"]
