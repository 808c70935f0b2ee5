"""Training a face detector: targets, mining, resuming, and errors."""

import json

import numpy as np
import pytest
import torch
from scene_folder import write_scenes

from mien.core.detector_card import DetectorCard
from mien.core.errors import DataError, MienError, RecipeError
from mien.core.face_maps import read_faces, suppress
from mien.data.scenes.composer import Scene
from mien.data.scenes.photographs import Photograph, Scenes, load_scenes
from mien.models.face_detector import FaceDetector
from mien.recipes import (
    detector_names,
    is_detector_recipe,
    load_detector_recipe,
    load_recipe,
    names,
    parse_detector_recipe,
)
from mien.training.detector.batches import SceneSampler
from mien.training.detector.fit import fit_detector
from mien.training.detector.mining import find_hard_places
from mien.training.detector.run import load_detector_run
from mien.training.detector.targets import make_target
from mien.training.detector.task import detection_loss

TINY = {
    "name": "tiny",
    "task": "detector",
    "data": {"dataset": "synthetic"},
    "scenes": {"per_epoch": 16, "validation": 4, "hard_score": 0.01},
    "network": {"stem": [4, 8, 8], "width": 8, "kernels": [3]},
    "optimizer": {"name": "adamw", "lr": 0.01},
    "schedule": {"epochs": 3, "warmup_epochs": 0},
    "training": {"batch_size": 8, "threads": 1, "ema_decay": 0.9, "selection": "last", "use_deterministic": True},
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return load_scenes(write_scenes(tmp_path_factory.mktemp("scenes")))


def scene_of(faces, ignored=()):
    rows = np.array(faces, float).reshape(-1, 4), np.array(ignored, float).reshape(-1, 3)
    return Scene(np.zeros((128, 128), np.uint8), *rows)


class TestTargets:
    def test_maps_that_are_as_wanted_are_read_as_the_same_faces(self):
        faces = [[30.0, 40.0, 24.0, 25.0], [90.5, 77.0, 40.0, -170.0]]
        target = make_target(scene_of(faces))
        maps = np.concatenate([np.where(target[:1] > 0, 6.0, -6.0), target[2:]]).astype(np.float32)
        card = DetectorCard("wanted", slope=1.0, offset=0.0, threshold=0.5)
        found = suppress(read_faces(maps, 1.0, 0, card, 0.5))
        assert np.allclose(sorted(found[:, [0, 1, 2, 4]].tolist()), faces, atol=1e-3)

    def test_cells_around_a_face_and_in_ignored_places_do_not_count(self):
        target = make_target(scene_of([[60, 60, 30, 0]], [[110, 110, 20]]))
        assert target[1, 7, 7] == 1
        assert target[0, 7, 7] == 1
        assert target[1, 7, 8] == 0
        assert target[0, 7, 8] == 0
        assert target[1, 13, 13] == 0
        assert target[1, 2, 2] == 1
        assert target[0, 2, 2] == 0

    def test_every_face_has_a_cell_and_sizes_of_other_levels_weigh_less(self):
        for side, weight in ((16.5, 0.5), (30, 1), (47, 0.5)):
            target = make_target(scene_of([[64, 64, side, np.nan]]))
            assert target[0].sum() > 0
            assert set(target[1][target[0] > 0].tolist()) == {np.float32(weight)}
            assert (target[5:] == 0).all()

    def test_the_loss_falls_with_right_maps_and_ignores_what_does_not_count(self):
        target = torch.from_numpy(make_target(scene_of([[60, 60, 30, 10]], [[110, 110, 20]])))[None]
        settings = parse_detector_recipe(TINY, "tiny").loss
        right = torch.cat([torch.where(target[:, :1] > 0, 9.0, -9.0), target[:, 2:]], dim=1)
        wrong = right.clone()
        wrong[:, 1] += 1
        ignored = right.clone()
        ignored[:, 0, 13, 13] = 9
        losses = [float(detection_loss(maps, target, settings)) for maps in (right, wrong, ignored)]
        assert losses[0] < 0.01 < losses[1]
        assert losses[2] == pytest.approx(losses[0])


class TestMining:
    def test_bright_places_are_found_unless_a_face_is_known_there(self):
        network = FaceDetector((4, 4, 4), 8, (3,)).eval()
        image = np.zeros((96, 192), np.uint8)
        image[32:64, 32:64] = image[32:64, 128:160] = 255

        def maps(images):
            bright = torch.nn.functional.avg_pool2d(images / 255, 24, 8, 8)
            return torch.cat([bright * 20 - 18, bright * 0, bright * 0, bright * 0, bright * 0, bright * 0], dim=1)

        network.forward = maps
        photograph = Photograph(image, "two.png", np.array([[48.0, 48, 30]]), np.array([True]))
        places = find_hard_places(network, [photograph], 0.3)
        assert places
        assert all(place.photograph == 0 for place in places)
        assert all(abs(place.square[0] - 144) < 20 for place in places)

    def test_a_batch_shows_its_share_of_them(self):
        recipe = parse_detector_recipe(TINY, "tiny")
        keys = list(SceneSampler(recipe, lambda epoch: ["place"] * epoch))
        assert [len(places) for _, places in keys] == [0, 0]
        sampler = SceneSampler(recipe, lambda epoch: ["place"] * epoch)
        sampler.set_epoch(1)
        assert [len(places) for _, places in sampler] == [2, 2]
        assert len({seed for seed, _ in [*keys, *sampler]}) == 4


class TestFit:
    def fit(self, folder, faces, scenes, *, resume=False, **settings):
        recipe = parse_detector_recipe(TINY | settings, "tiny")
        return fit_detector(recipe, faces, scenes, folder, resume=resume, quiet=True)

    def test_a_resumed_run_ends_with_the_same_weights(self, tmp_path, faces, scenes, monkeypatch):
        whole = self.fit(tmp_path / "whole", faces, scenes)
        from mien.training.recording import RecordKeeper

        monkeypatch.setattr(RecordKeeper, "has_time", lambda keeper: not keeper.record.curves)
        self.fit(tmp_path / "parts", faces, scenes)
        monkeypatch.undo()
        assert len(json.loads((tmp_path / "parts" / "record.json").read_text())["curves"]) == 1
        parts = self.fit(tmp_path / "parts", faces, scenes, resume=True)
        assert parts.record.finished
        assert len(parts.record.curves) == 3
        for name, value in whole.network.state_dict().items():
            assert torch.equal(value, parts.network.state_dict()[name]), name

    def test_the_record_names_what_it_learned_from(self, tmp_path, faces, scenes):
        run = self.fit(tmp_path / "run", faces, scenes, schedule={"epochs": 1, "warmup_epochs": 0})
        record = json.loads((tmp_path / "run" / "record.json").read_text())
        assert record["data"]["scenes"] == {"photographs": 6, "known_faces": 6, "objects": 1}
        assert record["parameters"] == sum(p.numel() for p in run.network.parameters())
        assert load_detector_run(tmp_path / "run").record.selection["epoch"] == 0

    def test_other_settings_or_scenes_are_another_run(self, tmp_path, faces, scenes):
        self.fit(tmp_path, faces, scenes, schedule={"epochs": 1, "warmup_epochs": 0})
        with pytest.raises(MienError, match=r"schedule\.epochs 1, now 3"):
            self.fit(tmp_path, faces, scenes, resume=True)
        fewer = Scenes(scenes.photographs[1:])
        with pytest.raises(MienError, match="other data"):
            self.fit(tmp_path, faces, fewer, resume=True, schedule={"epochs": 1, "warmup_epochs": 0})

    def test_one_photograph_is_too_few(self, tmp_path, faces, scenes):
        with pytest.raises(DataError, match="expected two or more"):
            self.fit(tmp_path, faces, Scenes(scenes.photographs[:1]))


class TestRecipes:
    def test_detectors_have_recipes_of_their_own(self):
        assert detector_names() == ["detector/faces"]
        assert "detector/faces" not in names()
        assert is_detector_recipe("detector/faces")
        assert not is_detector_recipe("default")
        assert load_detector_recipe("detector", ["schedule.epochs=2"]).schedule.epochs == 2
        with pytest.raises(RecipeError, match="trains a face detector"):
            load_recipe("detector/faces")

    def test_an_unknown_key_is_named_with_those_that_exist(self):
        with pytest.raises(RecipeError, match=r"unknown key 'scenes\.per_epok'.*Did you mean 'per_epoch'"):
            load_detector_recipe("detector/faces", ["scenes.per_epok=1"])

    @pytest.mark.parametrize("setting", ["training.devices=2", "optimizer.sam_rho=0.1", "training.use_compile=true"])
    def test_a_setting_that_would_do_nothing_is_refused(self, setting):
        with pytest.raises(RecipeError, match="a face detector trains without"):
            load_detector_recipe("detector/faces", [setting])
