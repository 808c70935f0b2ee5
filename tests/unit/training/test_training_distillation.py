"""Learning from trained networks as well as labels."""

import shutil

import numpy as np
import pytest
import torch

from mien.core.card import InputSpec
from mien.core.errors import MienError
from mien.core.image import fit_face
from mien.recipes import Recipe
from mien.recipes.schema import DistillationSettings
from mien.training.distillation import Distillation, Teacher
from mien.training.fit import fit
from mien.training.run import load_run

TINY = {
    "name": "tiny",
    "data": {"dataset": "synthetic"},
    "network": {"name": "resnet18", "options": {"width": 4, "stem": "small"}},
    "schedule": {"epochs": 1},
    "training": {"batch_size": 32, "threads": 1},
}
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@pytest.fixture(scope="module")
def teacher_folder(faces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "teacher"
    fit(Recipe.model_validate(TINY), faces, folder, quiet=True)
    return folder


def test_a_teacher_uses_its_own_normalization(teacher_folder, faces):
    teacher = Teacher(teacher_folder, faces.label_set.names)
    images = torch.rand(3, 1, 48, 48)
    spec: InputSpec = teacher.spec
    with torch.no_grad():
        wanted = load_run(teacher_folder).network((images - spec.mean) / spec.std)
    torch.testing.assert_close(teacher.logits(images), wanted)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in teacher.network.modules())
    assert teacher.logits(torch.rand(2, 3, 64, 64)).shape == (2, 7)
    assert teacher.description["name"] == "tiny"


def test_a_teacher_trained_without_colour_gets_grey_images(teacher_folder, faces):
    teacher = Teacher(teacher_folder, faces.label_set.names)
    teacher.spec = InputSpec(48, 3, is_grey=True)
    teacher.network = torch.nn.Flatten()
    images = torch.randint(256, (2, 3, 48, 48), dtype=torch.uint8)
    seen = [fit_face(image.permute(1, 2, 0).numpy(), teacher.spec)[..., 0] for image in images]  # as recognition does
    grey = (torch.from_numpy(np.stack(seen)) / 255 - teacher.spec.mean) / teacher.spec.std
    # a grey value of 8 bits is rounded
    torch.testing.assert_close(teacher.logits(images / 255), grey.flatten(1)[:, :7], atol=0.6 / 255 / 0.25, rtol=0)


def test_a_teacher_averages_the_logits_of_an_image_and_its_mirror_image(teacher_folder, faces):
    plain, mirror = (Teacher(teacher_folder, faces.label_set.names, mirror=mirror) for mirror in (False, True))
    images = torch.rand(3, 1, 48, 48)
    wanted = (plain.logits(images) + plain.logits(images.flip(3))) / 2
    torch.testing.assert_close(mirror.logits(images), wanted)
    torch.testing.assert_close(mirror.logits(images.flip(3)), wanted)
    assert not torch.allclose(plain.logits(images), wanted, atol=1e-3)


def test_other_labels_are_refused(teacher_folder):
    with pytest.raises(MienError, match=r"has the labels .*; the data set has a, b; they must"):
        Teacher(teacher_folder, ("a", "b"))


class Fixed:
    def __init__(self, logits):
        self.given = logits

    def logits(self, images):
        return self.given


def test_the_loss_is_its_equation():
    torch.manual_seed(0)
    distillation = Distillation(DistillationSettings(weight=0.3, temperature=4.0), LABELS)
    teachers = [torch.randn(5, 7), torch.randn(5, 7)]
    distillation.teachers = [Fixed(logits) for logits in teachers]
    logits, targets = torch.randn(5, 8), torch.eye(8)[[0, 1, 2, 3, 7]]  # the last row is not a face
    given = distillation.mixed(torch.tensor(2.0), logits, distillation.wanted(torch.zeros(5, 1, 8, 8)), targets)

    def softmax(z):
        e = np.exp(z)
        return e / e.sum(1, keepdims=True)

    p = np.mean([softmax(t.double().numpy() / 4) for t in teachers], axis=0)
    q = softmax(logits[:, :7].double().numpy() / 4)
    divergence = (p * np.log(p / q)).sum(1)[:4].sum() / 5
    assert given.item() == pytest.approx(0.7 * 2 + 0.3 * 16 * divergence, rel=1e-5)


def test_teachers_are_known_by_their_weights_in_any_folder(teacher_folder, faces, tmp_path):
    def wanted(*paths):
        teachers = [str(path) for path in paths]
        training = TINY["training"] | {"ema_decay": 0.9}
        changes = {"schedule": {"epochs": 3}, "distillation": {"teachers": teachers}, "training": training}
        return Recipe.model_validate(TINY | changes)

    run, moved, other = (tmp_path / name for name in ("run", "moved", "other"))
    (teacher,) = fit(wanted(teacher_folder), faces, run, minutes=1e-9, quiet=True).record.teachers
    assert (teacher["name"], len(teacher["sha256"])) == ("tiny", 64)
    assert not any("teacher" in key for key in torch.load(run / "checkpoints" / "last.ckpt")["state_dict"])
    shutil.copytree(teacher_folder, moved)
    resumed = fit(wanted(moved), faces, run, resume=True, minutes=1e-9, quiet=True)
    assert resumed.record.recipe == wanted(moved).model_dump()
    fit(Recipe.model_validate(TINY | {"training": TINY["training"] | {"seed": 1}}), faces, other, quiet=True)
    for teachers in ([other], [moved, other], []):
        names = ", ".join(["tiny"] * len(teachers)) or "none"
        with pytest.raises(MienError, match=rf"run was started with other teachers \(tiny, now {names}\)"):
            fit(wanted(*teachers), faces, run, resume=True, quiet=True)
    assert fit(wanted(moved), faces, run, resume=True, quiet=True).record.finished
