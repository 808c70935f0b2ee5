"""Faces read from files by worker processes: the same batches as those kept in memory, and the same training."""

import numpy as np
import pytest
import torch
from PIL import Image

from mien.core.card import InputSpec
from mien.core.errors import DataError
from mien.data.options import LoadOptions
from mien.data.registry import load
from mien.recipes import Recipe
from mien.training.fit import fit

RECIPE = {
    "name": "files",
    "data": {"dataset": "folder"},
    "network": {"name": "resnet18", "input_size": 24, "options": {"width": 4, "stem": "small"}},
    "optimizer": {"lr": 0.05},
    "augmentation": {"rotation": 10, "translate": 0.1, "brightness": 0.2, "erasing": 0.3},
    "schedule": {"epochs": 2},
    "training": {"batch_size": 16, "threads": 1, "use_deterministic": True, "workers": 2},
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Some of the drawn training and validation faces, in several sizes."""
    root = tmp_path_factory.mktemp("files")
    faces = load("synthetic", None)
    for split, every in (("train", 8), ("validation", 11)):
        for number, row in enumerate(np.flatnonzero(faces.splits == split)[::every]):
            path = root / split / faces.label_set.names[faces.labels[row]] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            side = 40 + number % 9
            Image.fromarray(faces.images[row]).resize((side, side + 3)).save(path)
    return root


def read(tree, lazy):
    return load("folder", tree, LoadOptions(image_size=24, use_lazy_images=lazy))


def test_training_from_files_is_training_from_memory(tree, tmp_path):
    recipe = Recipe.model_validate(RECIPE)
    kept, left = (fit(recipe, read(tree, lazy), tmp_path / f"run{lazy}", quiet=True) for lazy in (False, True))
    torch.use_deterministic_algorithms(False)
    assert kept.record.data["fingerprint"] == left.record.data["fingerprint"]
    for key in ("train_loss", "validation_loss"):
        assert [point[key] for point in kept.record.curves] == [point[key] for point in left.record.curves]
    weights = kept.network.state_dict(), left.network.state_dict()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_file_that_vanishes_is_one_line(tree, tmp_path, monkeypatch):
    dataset = read(tree, lazy=True)
    _ = dataset.fingerprint
    monkeypatch.setattr("mien.training.fit.measure_input", lambda train, recipe: InputSpec(48, 1))
    dataset.images.paths[:] = "gone.png"
    with pytest.raises(DataError, match=r"^gone\.png.*[Nn]o such file[^\n]*$"):
        fit(Recipe.model_validate(RECIPE), dataset, tmp_path / "run", quiet=True)
    torch.use_deterministic_algorithms(False)
