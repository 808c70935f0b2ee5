"""Every setting of a recipe is used; the parts themselves are tested elsewhere."""

from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch

from mien.core.card import InputSpec
from mien.recipes import Recipe
from mien.training.batches import FaceBatches, FaceSampler
from mien.training.faces import Faces, make_faces, measure_input
from mien.training.fit import fit
from mien.training.run import create_network, load_run
from mien.training.schedule import lr_share
from mien.training.task import Task

BASE = {
    "name": "tiny",
    "data": {"dataset": "synthetic"},
    "network": {"name": "resnet18", "input_size": 16, "options": {"width": 4, "stem": "small"}},
    "optimizer": {"name": "sgd", "lr": 0.05, "weight_decay": 0.01},
    "schedule": {"epochs": 2, "warmup_epochs": 0},
    "augmentation": {"flip": 0},
    "training": {"batch_size": 64, "threads": 1, "use_deterministic": True},
}
SETTINGS = {
    "fit_classifier": True,
    "data.not_a_face_share": 0.1,
    "data.class_balance": 1.0,
    "loss.options.label_smoothing": 0.2,
    "optimizer.options.momentum": 0.9,
    "optimizer.weight_decay": 0.5,
    "optimizer.sam_rho": 0.1,
    "optimizer.backbone_lr_share": 0.5,
    "schedule.warmup_epochs": 1,
    "schedule.final_lr_share": 0.5,
    "schedule.cycle_epochs": 1,
    "augmentation.flip": 0.5,
    "augmentation.rotation": 20,
    "augmentation.scale": 0.2,
    "augmentation.translate": 0.1,
    "augmentation.brightness": 0.2,
    "augmentation.contrast": 0.2,
    "augmentation.erasing": 1.0,
    "augmentation.noise": 0.1,
    "augmentation.randaugment": 1,
    "augmentation.mixup": 1.0,
    "augmentation.cutmix": 1.0,
    "corruption.low_light": 0.5,
    "corruption.over_exposure": 0.5,
    "corruption.noise": 0.5,
    "corruption.blur": 0.5,
    "corruption.motion_blur": 0.5,
    "corruption.down_scaling": 0.5,
    "corruption.jpeg": 0.5,
    "corruption.cover": 0.5,
    "corruption.rotation": 0.5,
    "corruption.crop": 0.5,
    "corruption.consistency": 1.0,
    "training.seed": 1,
    "training.batch_size": 32,
    "training.ema_decay": 0.9,
    "training.gradient_clip": 0.01,
    "network.options.dropout": 0.5,
    "network.modulators.stage4": "se",
}
CASES = [({}, key, value) for key, value in SETTINGS.items()]
CASES += [
    ({"augmentation.randaugment": 1}, "augmentation.randaugment", 3),
    ({"augmentation.randaugment": 1}, "augmentation.randaugment_magnitude", 25),
    ({"augmentation.erasing": 1.0}, "augmentation.erasing_area", 0.6),
    ({"augmentation.contrast": 0.5}, "augmentation.contrast_about", "mean"),
    ({"schedule.epochs": 3}, "schedule.name", "linear"),  # after half of the run both rates are the same
    ({"training.ema_decay": 0.9}, "training.ema_ramp_steps", 3),
]
CASES += [
    ({f"corruption.{kind}": 0.5}, f"corruption.{kind}_{limit}", value)
    for kind, limit, value in [
        ("low_light", "stops", 1.0),
        ("low_light", "electrons", 500.0),
        ("over_exposure", "stops", 1.0),
        ("noise", "deviation", 0.05),
        ("blur", "deviation", 0.2),
        ("motion_blur", "length", 0.4),
        ("down_scaling", "factor", 2.0),
        ("jpeg", "step", 0.1),
        ("rotation", "degrees", 10.0),
        ("crop", "scale", 0.05),
        ("crop", "shift", 0.05),
    ]
]


def make_recipe(changes):
    settings = {group: dict(values) if isinstance(values, dict) else values for group, values in BASE.items()}
    for key, value in changes.items():
        *groups, last = key.split(".")
        at = settings
        for group in groups:
            at[group] = dict(at.get(group, {}))
            at = at[group]
        at[last] = value
    return Recipe.model_validate(settings)


@pytest.fixture(scope="module")
def learn(faces, tmp_path_factory):
    known = {}
    faces = faces.subset((faces.labels != 0) | (np.arange(len(faces)) % 3 > 0))  # classes of different sizes

    def train(changes):
        """Return the last layer after two epochs; every random number, image and step affects it."""
        key = tuple(sorted(changes.items()))
        if key not in known:
            folder = tmp_path_factory.mktemp("run") / "run"
            fit(make_recipe(changes), faces, folder, quiet=True)
            state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
            known[key] = state["network.fc.weight"][:7]
        return known[key]

    return train


@pytest.mark.slow
@pytest.mark.parametrize(("base", "key", "value"), CASES)
def test_a_setting_changes_the_result(learn, base, key, value):
    assert not torch.equal(learn({**base, key: value}), learn(base))


def test_norms_and_biases_do_not_decay_and_the_rate_changes_every_step(faces, tmp_path):
    recipe = make_recipe({"schedule.epochs": 3})
    record = fit(recipe, faces, tmp_path, quiet=True).record
    steps = len(faces.split("train")) // 64
    for epoch, point in enumerate(record.curves, start=1):
        assert point["lr"] == pytest.approx(0.05 * lr_share(epoch * steps, steps, recipe.schedule))
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    groups = state["optimizer_states"][0]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.01, 0]
    assert len(groups[1]["params"]) > len(groups[0]["params"]) > 0


def make_task(faces, recipe, *, is_grey=False):
    spec = InputSpec(16, recipe.network.channels, is_grey=is_grey)
    outputs = 7 + bool(recipe.data.not_a_face_share)
    task = Task(create_network(recipe, 7), recipe, spec, faces.label_set.names, torch.ones(outputs))
    task.epoch_loss = torch.zeros(())
    return task.train()


def test_every_named_teacher_is_used(faces, tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for seed, folder in enumerate(folders):
        fit(make_recipe({"training.seed": seed, "schedule.epochs": 1}), faces, folder, quiet=True)
    names = [str(folder) for folder in folders]
    task = make_task(faces, make_recipe({"distillation.teachers": names, "distillation.weight": 1.0}))
    images, targets = torch.randint(256, (8, 1, 16, 16)), torch.eye(7)[torch.arange(8) % 7]
    loss = task.training_step((images, targets), 1)

    def soft(network, spec):
        return (network((images / 255 - spec.mean) / spec.std) / 2).softmax(1)

    runs = [load_run(folder) for folder in folders]
    with torch.no_grad():
        wanted = sum(soft(run.network, InputSpec(16, 1, run.record.mean, run.record.std)) for run in runs) / 2
        given = soft(task.network, task.spec)
    divergence = (wanted * (wanted / given).log()).sum(1).mean()
    assert loss.item() == pytest.approx(4 * divergence.item(), rel=1e-3)


@pytest.mark.parametrize("setting", ["noise", "randaugment"])
def test_grey_faces_of_three_channels_stay_grey(faces, setting):
    changes = {"network.channels": 3, "data.not_a_face_share": 1.0, f"augmentation.{setting}": 1}
    task = make_task(faces, make_recipe(changes), is_grey=True)
    grey = torch.randint(256, (12, 1, 16, 16)).expand(-1, 3, -1, -1)
    images, targets, _ = task._prepare(grey, torch.eye(8)[:, :8][torch.zeros(12, dtype=torch.long)])
    assert images.shape == (24, 3, 16, 16)
    assert targets.shape == (24, 8)
    assert (images == images[:, :1]).all()
    assert not torch.equal(images[:12], grey / 255)


@pytest.mark.parametrize(
    ("share", "faces_each", "made"), [(0.06, 8, [1]), (0.1, 5, [0, 1]), (0.1, 64, [6, 7]), (0, 8, [0])]
)
def test_non_faces_are_at_least_one_and_shared_between_processes(faces, monkeypatch, share, faces_each, made):
    changes = {"data.not_a_face_share": share, "training.devices": len(made), "training.batch_size": 128}
    task = make_task(faces, make_recipe(changes))
    for rank, count in enumerate(made):
        monkeypatch.setattr(Task, "global_rank", rank)
        images, *_ = task._prepare(torch.zeros(faces_each, 1, 16, 16), torch.zeros(faces_each, 7 + bool(share)))
        assert len(images) == faces_each + count


def test_classes_are_balanced_and_non_faces_keep_their_share(faces):
    recipe = make_recipe({"data.class_balance": 1.0, "data.not_a_face_share": 0.1, "training.batch_size": 16})
    labels = torch.tensor([0] * 60 + [1] * 20 + [7] * 20)
    train = Faces(torch.zeros(100, 1, 16, 16, dtype=torch.uint8), torch.eye(8)[labels])
    batches = FaceBatches(train, train, recipe)
    batches.trainer = SimpleNamespace(
        global_rank=0, world_size=1, strategy=SimpleNamespace(root_device=torch.device("cpu"))
    )
    weights = batches.train_dataloader().sampler.weights
    shares = [float(weights[labels == label].sum() / weights.sum()) for label in (0, 1, 7)]
    assert shares == pytest.approx([0.4, 0.4, 0.2])


def test_sam_updates_running_statistics_once_per_step_by_the_unmoved_weights(faces, tmp_path):
    """Norms' statistics of one step are those of a plain pass."""
    changes = {
        "schedule.epochs": 1,
        "optimizer.sam_rho": 0.05,
        "training.batch_size": len(faces.split("train")),
    }
    recipe = make_recipe(changes)
    fit(recipe, faces, tmp_path, quiet=True)
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert int(state["network.bn1.num_batches_tracked"]) == 1

    torch.manual_seed(0)
    L.seed_everything(0, verbose=False)
    train = make_faces(faces.split("train"), recipe)
    network, spec = create_network(recipe, 7).train(), measure_input(train, recipe)
    order = list(FaceSampler(train.targets.argmax(1), seed=0))
    with torch.no_grad():
        network((train.images[order] / 255 - spec.mean) / spec.std)
    torch.testing.assert_close(state["network.bn1.running_mean"], network.bn1.running_mean, rtol=1e-4, atol=1e-6)
