"""The predictions file: saved and loaded unchanged; invalid content is refused."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_predictions import make_predictions

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.evaluation import arrays
from mien.evaluation import predictions as module
from mien.evaluation.predictions import Predictions

LABELS = LabelSet.of(["happy", "sad", "neutral"])


def make(**changes: Any) -> Predictions:
    fields: dict[str, Any] = {
        "is_duplicate": np.array([False, True, False, True]),
        "rows": np.array([3, 4, 8, 9]),
        "paths": ("a.png", "ä.png", "b c.png", ""),
        "selection": "last",
        "metadata": {"subject": np.array(["a", "ä", "", "b"]), "../x [1]": np.array(["1", "22", "3", "4"])},
    }
    probabilities = [[0.5, 0.25, 0.25], [0, 1, 0], [0.1, 0.2, 0.7], [1, 0, 0]]
    return make_predictions(probabilities, [0, 1, 2, 1], LABELS.names, **(fields | changes))


@pytest.mark.parametrize("saved", [make(), make(paths=(), metadata={})])
def test_save_and_load(saved: Predictions, tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    saved.save(path)
    loaded = Predictions.load(path)
    for field in dataclasses.fields(Predictions):
        value, expected = getattr(loaded, field.name), getattr(saved, field.name)
        if isinstance(expected, np.ndarray):
            np.testing.assert_array_equal(value, expected)
            assert value.dtype == expected.dtype
        elif field.name == "metadata":
            assert {k: v.tolist() for k, v in value.items()} == {k: v.tolist() for k, v in expected.items()}
        else:
            assert value == expected
    assert [p.name for p in tmp_path.iterdir()] == ["p.npz"]


def test_without_duplicates_keeps_the_rest() -> None:
    rest = make().without_duplicates()
    assert rest.labels.tolist() == [0, 2]
    assert rest.rows.tolist() == [3, 8]
    assert rest.paths == ("a.png", "b c.png")
    assert rest.probabilities.shape == (2, 3)
    assert rest.metadata["subject"].tolist() == ["a", ""]
    assert make(paths=()).without_duplicates().paths == ()


BAD = {
    "shape": ({"probabilities": np.ones((4, 2), dtype=np.float32) / 2}, r"shape \(4, 2\).*\(4, 3\)"),
    "nan": ({"probabilities": np.full((4, 3), np.nan, dtype=np.float32)}, "NaN"),
    "logits": ({"probabilities": np.full((4, 3), 2, dtype=np.float32)}, "sums to 6"),
    "negative": ({"probabilities": np.full((4, 3), (-1, 1, 1), dtype=np.float32)}, "lowest is -1"),
    "label": ({"labels": np.array([0, 1, 2, 3])}, "need 0 to 2"),
    "duplicates": ({"is_duplicate": np.zeros(3, dtype=bool)}, "is_duplicate"),
    "rows": ({"rows": np.zeros((4, 1), dtype=np.int64)}, "rows"),
    "metadata": ({"metadata": {"age": np.array(["1"])}}, r"age has shape \(1,\)"),
    "paths": ({"paths": ("a",)}, "1 paths for 4 images"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_content_is_refused(case: str) -> None:
    changes, text = BAD[case]
    with pytest.raises(DataError, match=text) as caught:
        make(**changes)
    assert "\n" not in str(caught.value)


def write_npz(path: Path, **changes: Any) -> None:
    """Write a file as `save` does, with arrays replaced, or left out where None."""
    make().save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


FOREIGN = {
    "an array missing": {"rows": None},
    "a pickled array": {"paths": np.array([{"a": 1}], dtype=object)},
    "wrong type": {"labels": np.zeros(4)},
    "wrong format": {"about": np.array(json.dumps({"format": "other"}))},
    "no JSON": {"about": np.array("{")},
    "unknown label": {"about": np.array(json.dumps({"format": module.FORMAT, "label_names": ["x"]}))},
    "wrong shape": {"probabilities": np.zeros((2, 3), dtype=np.float32)},
    "a column missing": {"metadata_1": None},
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_files_are_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    write_npz(path, **FOREIGN[case])
    with pytest.raises(DataError, match="not a predictions file") as caught:
        Predictions.load(path)
    assert "\n" not in str(caught.value)


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    make().save(path)
    for content in (b"", b"text", b"PK\x03\x04 broken", path.read_bytes()[:-40]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a predictions file"):
            Predictions.load(path)
    with pytest.raises(DataError, match="does not exist"):
        Predictions.load(tmp_path / "none.npz")
    with pytest.raises(DataError, match=r"predictions\.npz does not exist"):
        Predictions.load(tmp_path)
    with pytest.raises(DataError, match="Cannot write"):
        make().save(tmp_path / "no" / "p.npz")


def test_a_decompression_bomb_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("probabilities.npy", bytes(3 << 20))
    monkeypatch.setattr(arrays, "MAX_BYTES", 2 << 20)
    with pytest.raises(DataError, match="3 MiB; the limit is 2 MiB"):
        Predictions.load(path)


def test_a_file_of_the_first_release_has_no_metadata(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    about = {"format": "mien-predictions-1", "label_names": LABELS.names, "model": "m", "dataset": "d", "split": "test"}
    about |= {"fingerprint": "", "selection": ""}
    write_npz(path, about=np.array(json.dumps(about)), metadata_0=None, metadata_1=None)
    loaded = Predictions.load(path)
    assert loaded.metadata == {}
    assert loaded.views == "one"
