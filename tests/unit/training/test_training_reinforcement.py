"""Stored views of the training faces: pixels and logits belong together, and students learn from them."""

import json
import shutil

import numpy as np
import pytest
import torch
from interrupted import break_off
from tiny_recipe import tiny_recipe
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.core.errors import MienError, RecipeError
from mien.recipes import load_recipe
from mien.training.augment import Augmentation
from mien.training.batches import FaceSampler
from mien.training.distillation import Teacher
from mien.training.faces import make_faces
from mien.training.fit import fit
from mien.training.reinforce import reinforce
from mien.training.reinforcement import Manifest
from mien.training.task import Task

AUGMENTATION = {"flip": 0.5, "rotation": 20, "erasing": 0.5}
VIEWS = 2


def recipe(**groups):
    return tiny_recipe(augmentation=AUGMENTATION, **groups)


def student(folder, **groups):
    training = {"use_deterministic": True} | groups.pop("training", {})
    return recipe(distillation={"reinforced": str(folder), "weight": 0.7}, training=training, **groups)


@pytest.fixture(scope="module")
def teachers(faces, tmp_path_factory):
    folders = [tmp_path_factory.mktemp("runs") / name for name in ("a", "b")]
    for size, folder in zip((16, 24), folders, strict=True):
        fit(tiny_recipe(network={"input_size": size}), faces, folder, quiet=True)
    return folders


@pytest.fixture(scope="module")
def stored(faces, teachers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("views") / "views"
    reinforce(recipe(), faces, teachers, folder, views=VIEWS)
    return folder


def read(folder, view):
    return [np.load(folder / f"{kind}-{view:04}.npy") for kind in ("images", "logits")]


class TestMaking:
    def test_logits_are_those_of_the_stored_pixels(self, stored, teachers, faces):
        asked = [Teacher(path, faces.label_set.names) for path in teachers]
        for view in range(VIEWS):
            images, logits = read(stored, view)
            pixels = torch.from_numpy(images).float() / 255
            wanted = torch.stack([teacher.logits(pixels) for teacher in asked]).mean(0)
            assert (images.dtype, logits.dtype) == (np.uint8, np.float16)
            np.testing.assert_allclose(logits, wanted.numpy(), rtol=2e-3, atol=2e-3)
            # and of no other face or view
            others = np.abs(np.roll(logits, 1, axis=0) - wanted.numpy()).max(1)
            assert np.median(others) > 0.02

    def test_mirrored_teachers_score_the_same_pixels_twice(self, stored, teachers, faces, tmp_path):
        manifest = reinforce(recipe(distillation={"mirror": True}), faces, teachers[:1], tmp_path / "views", views=1)
        images, logits = read(tmp_path / "views", 0)
        assert np.array_equal(images, read(stored, 0)[0])
        wanted = Teacher(teachers[0], faces.label_set.names, mirror=True).logits(torch.from_numpy(images).float() / 255)
        np.testing.assert_allclose(logits, wanted.numpy(), rtol=2e-3, atol=2e-3)
        assert manifest.made_from["mirror"]

    def test_views_are_the_recipe_s_augmentation_of_the_training_faces(self, stored, faces):
        train = make_faces(faces.split("train"), recipe())
        for view in range(VIEWS):
            torch.manual_seed(view)
            wanted = Augmentation(recipe().augmentation, 1)(train.images.float() / 255)
            assert np.array_equal(read(stored, view)[0], (wanted * 255).round().byte().numpy())
        assert not np.array_equal(read(stored, 0)[0], read(stored, 1)[0])

    def test_an_interrupted_job_continues_and_more_views_can_be_added(self, stored, teachers, faces, tmp_path):
        folder, n = tmp_path / "views", int((faces.splits == "train").sum())

        def stop(done, seen=[]):  # noqa: B006 - counts over calls
            seen.append(done)
            if sum(seen) > n:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            reinforce(recipe(), faces, teachers, folder, views=VIEWS, progress=stop)
        assert len(Manifest.load(folder).views) == 1
        with pytest.raises(MienError, match=r"has 1 of 2 views; run `mien reinforce` again"):
            fit(student(folder), faces, tmp_path / "run", quiet=True)
        seen = []
        continued = reinforce(recipe(), faces, teachers, folder, views=VIEWS, progress=seen.append)
        assert sum(seen) == VIEWS * n
        assert continued.fingerprint == Manifest.load(stored).fingerprint
        assert not list(folder.glob("*.part"))
        assert reinforce(recipe(), faces, teachers, folder, views=VIEWS + 1).views[:VIEWS] == continued.views
        assert len(reinforce(recipe(), faces, teachers, folder, views=1).views) == VIEWS + 1

    def test_views_made_in_another_way_are_not_continued(self, stored, teachers, faces, tmp_path):
        for changed, others, key in (
            (tiny_recipe(augmentation={"flip": 0}), teachers, "augmentation.flip, augmentation.rotation"),
            (recipe(training={"seed": 1}), teachers, "seed"),
            (recipe(network={"input_size": 24}), teachers, "size"),
            (recipe(distillation={"mirror": True}), teachers, "mirror"),
            (recipe(), teachers[:1], "teachers"),
        ):
            with pytest.raises(MienError, match=rf"holds views made in another way \(.*{key}.*name another --out"):
                reinforce(changed, faces, others, stored, views=3)
        with pytest.raises(MienError, match=r"another way \(fingerprint\)"):
            reinforce(recipe(), faces.subset(np.arange(len(faces))[::-1]), teachers, stored, views=3)
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(MienError, match="holds something else"):
            reinforce(recipe(), faces, teachers, tmp_path, views=1)
        with pytest.raises(MienError, match="0 views and 2 runs given"):
            reinforce(recipe(), faces, teachers, tmp_path / "new", views=0)


def test_views_take_turns_from_a_random_one():
    labels = torch.zeros(50, dtype=torch.long)
    sampler = FaceSampler(labels, seed=1, views=3)
    epochs = []
    for epoch in range(6):
        sampler.set_epoch(epoch)
        epochs.append(sorted((number % 50, number // 50) for number in sampler))
    views = np.array([[view for _, view in epoch] for epoch in epochs])
    assert all([face for face, _ in epoch] == list(range(50)) for epoch in epochs)
    assert (np.sort(views[:3], axis=0) == [[0], [1], [2]]).all()
    assert (np.sort(views[3:], axis=0) == [[0], [1], [2]]).all()
    assert len(set(views[0])) == 3
    assert not np.array_equal(views[0], views[3])
    plain = FaceSampler(labels, seed=1)
    sampler.set_epoch(0)
    assert [number % 50 for number in sampler] == list(plain)


class TestStudent:
    def test_each_batch_has_faces_with_their_own_logits_and_targets(self, stored, faces, tmp_path, monkeypatch):
        seen = []
        step = Task.training_step

        def watch(task, batch, batch_idx):
            seen.append([tensor.clone() for tensor in batch])
            return step(task, batch, batch_idx)

        monkeypatch.setattr(Task, "training_step", watch)
        monkeypatch.setattr(Augmentation, "forward", lambda *arguments: 1 / 0)  # not a second time
        fit(student(stored, schedule={"epochs": 2}), faces, tmp_path, quiet=True)
        pixels = np.concatenate([read(stored, view)[0] for view in range(VIEWS)])
        logits = np.concatenate([read(stored, view)[1] for view in range(VIEWS)])
        numbers = {image.tobytes(): number for number, image in enumerate(pixels)}
        labels = faces.split("train").labels
        found = []
        for images, targets, given in seen:
            rows = [numbers[image.numpy().tobytes()] for image in images]
            assert np.array_equal(given.numpy(), logits[rows])
            assert np.array_equal(targets.argmax(1), labels[np.array(rows) % len(labels)])
            found += rows
        assert len(set(found)) == len(found)  # another view in the second epoch

    def test_the_loss_is_that_of_stored_logits_and_non_faces_have_none(self, stored, faces):
        wanted = student(stored, data={"not_a_face_share": 0.5})
        from mien.core.card import InputSpec
        from mien.training.run import create_network

        task = Task(create_network(wanted, 7), wanted, InputSpec(16), faces.label_set.names, torch.ones(8))
        images, targets = torch.randint(256, (8, 1, 16, 16), dtype=torch.uint8), torch.eye(8)[torch.arange(8) % 7]
        logits = torch.randn(8, 7).half()
        seen, all_targets, soft = task._prepare(images, targets, logits)
        assert torch.equal(seen[:8], images / 255)
        assert torch.equal(all_targets[8:], torch.eye(8)[[7, 7, 7, 7]])
        assert not soft[8:].any()
        torch.testing.assert_close(soft[:8], (logits.float() / 2).softmax(1))
        given = torch.randn(12, 8)
        loss = task.distillation.mixed(torch.tensor(0.0), given, soft, all_targets)
        q = (given[:8, :7] / 2).log_softmax(1)
        divergence = (soft[:8] * (soft[:8].log() - q)).sum() / 12
        assert loss.item() == pytest.approx(0.7 * 4 * divergence.item(), rel=1e-5)

    def test_mixing_mixes_what_teachers_want(self, stored, faces):
        from mien.core.card import InputSpec
        from mien.training.run import create_network

        wanted = tiny_recipe(
            augmentation=AUGMENTATION | {"mixup": 1.0},
            data={"not_a_face_share": 0.5},
            distillation={"reinforced": str(stored), "temperature": 1.0},
        )
        task = Task(create_network(wanted, 7), wanted, InputSpec(16), faces.label_set.names, torch.ones(8))
        labels = torch.arange(8) % 7
        torch.manual_seed(1)
        images = torch.randint(256, (8, 1, 16, 16), dtype=torch.uint8)
        _, targets, soft = task._prepare(images, torch.eye(8)[labels], 50 * torch.eye(7)[labels].half())
        is_face = targets[:, :7].sum(1, keepdim=True)
        assert (is_face < 0.99).any()
        torch.testing.assert_close(soft * is_face, targets[:, :7], atol=1e-4, rtol=0)
        torch.testing.assert_close(soft.sum(1)[is_face[:, 0] > 1e-3], torch.ones(int((is_face > 1e-3).sum())))

    def test_the_record_names_views_and_teachers_and_the_run_is_resumed_bit_for_bit(self, stored, faces, tmp_path):
        wanted = student(stored, schedule={"epochs": 3}, corruption={"noise": 0.5})
        whole = fit(wanted, faces, tmp_path / "whole", quiet=True)
        assert whole.record.data["reinforced"] == {
            **{"fingerprint": Manifest.load(stored).fingerprint, "views": VIEWS, "size": 16, "seed": 0}
        }
        assert [teacher["name"] for teacher in whole.record.teachers] == ["tiny", "tiny"]
        break_off(wanted, faces, tmp_path / "broken", epoch=2)
        moved = shutil.copytree(stored, tmp_path / "moved")
        fit(student(moved, schedule={"epochs": 3}, corruption={"noise": 0.5}), faces, tmp_path / "broken", **RESUME)
        states = [
            torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
            for name in ("whole", "broken")
        ]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    def test_a_run_is_not_resumed_with_other_views(self, stored, faces, teachers, tmp_path):
        wanted = student(stored, schedule={"epochs": 2})
        break_off(wanted, faces, tmp_path / "run", epoch=1)
        reinforce(recipe(), faces, teachers, tmp_path / "other", views=1)
        with pytest.raises(MienError, match="was run on other stored views"):
            fit(student(tmp_path / "other", schedule={"epochs": 2}), faces, tmp_path / "run", **RESUME)
        with pytest.raises(MienError, match="was run on other stored views"):
            fit(recipe(schedule={"epochs": 2}, **ALONE), faces, tmp_path / "run", **RESUME)

    def test_a_student_may_have_another_size(self, stored, faces, tmp_path):
        run = fit(student(stored, network={"input_size": 24}), faces, tmp_path, quiet=True)
        assert run.input.size == 24

    def test_views_of_other_faces_or_settings_are_refused(self, stored, faces, tmp_path):
        def refused(line, wanted=None, of=faces):
            with pytest.raises(MienError, match=line):
                fit(wanted or student(stored), of, tmp_path / "run", quiet=True)

        reinforced = {"distillation": {"reinforced": str(stored)}}
        refused(r"than the recipe's \(augmentation\.rotation, augmentation\.erasing\)", tiny_recipe(**reinforced))
        refused(r"recipe's \(channels\)", student(stored, network={"channels": 3}), of=coloured(faces))
        refused(r"recipe's \(faces\)", of=faces.subset(np.flatnonzero(np.arange(len(faces)) != first_of(faces))))
        swapped = swap_two_of_a_label(faces)
        refused("has views of other faces", of=swapped)
        refused("holds no views: reinforcement.json is missing", student(tmp_path / "nowhere"))

    def test_damaged_files_are_found(self, stored, faces, tmp_path):
        for name, change in (
            ("images-0001.npy", lambda path: path.unlink()),
            ("logits-0000.npy", lambda path: np.save(path, np.roll(np.load(path), 1, axis=0))),
            ("images-0000.npy", lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\0")),
        ):
            folder = shutil.copytree(stored, tmp_path / name)
            change(folder / name)
            with pytest.raises(MienError, match=f"{name} is missing or damaged"):
                fit(student(folder), faces, tmp_path / "run", quiet=True)

    def test_a_later_format_is_refused(self, stored, faces, tmp_path):
        folder = shutil.copytree(stored, tmp_path / "later")
        manifest = json.loads((folder / "reinforcement.json").read_text())
        (folder / "reinforcement.json").write_text(json.dumps(manifest | {"format": 99}))
        with pytest.raises(MienError, match="has format 99"):
            fit(student(folder), faces, tmp_path / "run", quiet=True)


RESUME = {"resume": True, "quiet": True}
ALONE = {"training": {"use_deterministic": True}, "distillation": {"weight": 0.7}}


def first_of(faces):
    return int(np.flatnonzero(faces.splits == "train")[0])


def coloured(faces):
    import dataclasses

    colour = np.repeat(faces.images[..., None], 3, axis=3)
    colour[..., 0] //= 2
    return dataclasses.replace(faces, images=colour)


def swap_two_of_a_label(faces):
    """Exchange two training faces of one label, so that only the pixels tell."""
    rows = np.arange(len(faces))
    first, *rest = np.flatnonzero((faces.splits == "train") & (faces.labels == 0))
    rows[[first, rest[5]]] = rows[[rest[5], first]]
    return faces.subset(rows)


def test_teachers_and_stored_views_exclude_each_other():
    with pytest.raises(RecipeError, match="stored views have their own teachers"):
        load_recipe("default", ["distillation.teachers=['a']", "distillation.reinforced=b"])
    with pytest.raises(RecipeError, match="give mirror to `mien reinforce` instead"):
        load_recipe("default", ["distillation.mirror=true", "distillation.reinforced=b"])


def test_the_command_stores_views_and_says_how_often_teachers_are_right(teachers, tmp_path):
    settings = ["network.input_size=16", "training.threads=1", "augmentation.flip=0.5"]
    words = ["reinforce", str(teachers[0]), "--views", "1", "--out", str(tmp_path / "views")]
    words += ["--recipe", "resnet18/synthetic", *(word for each in settings for word in ("--set", each))]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "1 view of" in done.output
    assert "16 pixels; 1 network, right on" in done.output
