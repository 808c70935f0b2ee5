"""What strangers bring to training: their own images, labels and habits. One class for each kind, as in the sibling."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont
from rich.console import Console
from tiny_recipe import tiny_recipe
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.core.errors import DataError, ModelError
from mien.core.image import to_batch
from mien.core.types import Box, Face
from mien.data import synthetic
from mien.data.options import LoadOptions
from mien.evaluation.predictions import Predictions
from mien.inference.draw import draw_still
from mien.inference.fonts import font_for
from mien.inference.model import OnnxModel
from mien.inference.video.drawing import Drawing, Text
from mien.models.weights import load_weights
from mien.recipes import load_recipe, parse_recipe
from mien.recipes.adaptation import FEW_STEPS, adapt_dataset, adapt_steps, chosen_settings
from mien.recipes.record import RunRecord
from mien.recipes.weights import find_weights
from mien.training import compilation
from mien.training.classifier import is_start_kept, save_start
from mien.training.faces import Faces
from mien.training.fit import fit
from mien.training.progress import Progress
from mien.training.run import Run, create_network, load_run

pytestmark = pytest.mark.usefixtures("torch_threads")

OWN = ("fröhlich", "müde", "怒り")
TWELVE = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "ë", "л")
TINY = """
name = "tiny"
[network]
name = "resnet18"
input_size = 16
options = { width = 4, stem = "small" }
[optimizer]
name = "sgd"
lr = 0.05
[schedule]
epochs = 2
warmup_epochs = 1
[training]
batch_size = 4
threads = 1
"""


def write_faces(root: Path, labels: tuple[str, ...], each: int, seed: int = 0) -> Path:
    """Write drawn faces, 48 pixels, as root/LABEL/*.png; a label's faces show one expression."""
    drawn = synthetic.load(None, LoadOptions(faces_per_class=each * 2, seed=seed))
    for number, label in enumerate(labels):
        (root / label).mkdir(parents=True)
        rows = np.flatnonzero((drawn.labels == number % 7) & (drawn.splits == "train"))[number // 7 :: 2][:each]
        for row in rows:
            Image.fromarray(drawn.images[row]).save(root / label / f"{row}.png")
    return root


def record_of(folder: Path) -> RunRecord:
    return RunRecord.load(folder / "record.json")


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    """A quick recipe, which is written for FER2013 as it names no data set."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(recipe_file):
    """A run, with its data and what it said beside it."""
    root, threads = recipe_file.parent, torch.get_num_threads()
    own = write_faces(root / "own", OWN, 12)
    words = ("--data", own, "--out", root / "run", "--epochs", 2, "--lr", 0.01, "--seed", 3)
    done = CliRunner().invoke(app, ["train", *map(str, (recipe_file, *words))])
    torch.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    (root / "said.txt").write_text(done.output, encoding="utf-8")
    return root / "run"


class TestOwnImages:
    """Kind 5: a small folder of one's own learns nothing. What depends on the number of steps must follow it."""

    @pytest.fixture
    def own(self, tmp_path):
        return write_faces(tmp_path / "own", OWN, 30)

    @pytest.fixture
    def run(self, mien, own, tmp_path):
        code, _, said = mien("train", "finetune", "--data", own, "--epochs", 1, "--out", tmp_path / "run")
        assert code == 0, said
        return tmp_path / "run"

    def test_one_command(self, mien, run, own, tmp_path):
        """Labels of one's own go from folders through training, evaluation and recognition."""
        record = record_of(run)
        assert record.labels == list(OWN)
        assert record.weights["file"] == "default.safetensors"
        assert record.scores["accuracy"] > 0.6
        others = write_faces(tmp_path / "others", OWN, 20, seed=1)
        code, printed, said = mien("evaluate", run, "--data", others, "--split", "all", "--json", "--out", tmp_path)
        assert code == 0, said
        scores = json.loads(printed)
        assert scores["n"] == 60
        assert scores["accuracy"] > 0.6
        code, printed, said = mien("recognize", "--model", run, "--detector", "none", "--format", "csv", others)
        assert code == 0, said
        rows = list(csv.DictReader(io.StringIO(printed)))
        assert len(rows) == 60
        assert set(OWN) < rows[0].keys()
        assert {row["label"] for row in rows} <= {*OWN, "unsure", ""}
        exported = tmp_path / "out.onnx"
        assert mien("export", run, "--data", own, "--out", exported)[0] == 0
        assert OnnxModel.load(exported).card.labels.names == OWN

    @pytest.mark.parametrize("labels", [OWN[:2], TWELVE])
    def test_any_number_of_labels(self, mien, recipe_file, tmp_path, labels):
        own = write_faces(tmp_path / "own", labels, 10)
        words = ("--data", own, "--out", tmp_path / "run", "--epochs", 1, "--quiet")
        code, _, said = mien("train", recipe_file, *words)
        assert code == 0, said
        assert record_of(tmp_path / "run").labels == list(labels)
        assert Predictions.load(tmp_path / "run").probabilities.shape[1] == len(labels)
        assert OnnxModel.load(tmp_path / "run").card.labels.names == labels

    @pytest.mark.parametrize("images", [24, 144, 420, 1200])
    @pytest.mark.parametrize("name", ["finetune", "default"])
    def test_settings_follow_the_number_of_steps(self, name, images):
        given = load_recipe(name)
        adapted = adapt_steps(given, images, ())
        training, before = adapted.recipe.training, given.training
        assert images // before.batch_size < FEW_STEPS
        assert training.batch_size == 8 or images // training.batch_size >= FEW_STEPS
        assert adapted.recipe.optimizer.lr < given.optimizer.lr
        steps = images // training.batch_size * adapted.recipe.schedule.epochs
        assert 1 / (1 - training.ema_decay) <= 0.06 * steps + 1
        assert not training.use_compile or steps >= 2000
        given = f"{images:,} training images"
        if images < before.batch_size:
            smaller = r"using batches of \d+: [1-9]\d* steps? an epoch"
            expected = f"{given} are fewer than a batch of {before.batch_size}; {smaller}"
        else:
            expected = rf"{given} give [1-9]\d* steps? an epoch in batches of {before.batch_size}"
        assert re.match(expected, adapted.notes[0])

    def test_many_images_change_nothing(self):
        for name in ("default", "finetune", "resnet18/fer2013"):
            given = load_recipe(name)
            assert adapt_steps(given, 28_709, ()).recipe == given

    def test_what_the_user_chose_stays(self, recipe_file):
        words = ["training.batch_size=32", "training.ema_decay=0.99"]
        recipe = load_recipe("default", words)
        adapted = adapt_steps(recipe, 100, chosen_settings("default", words)).recipe
        assert (adapted.training.batch_size, adapted.training.ema_decay) == (32, 0.99)
        assert adapted.optimizer.lr == recipe.optimizer.lr
        assert not adapted.training.use_compile
        own = load_recipe(str(recipe_file))  # all that a file of the user's own says
        assert adapt_steps(own, 24, chosen_settings(str(recipe_file))).recipe == own
        paper = load_recipe("despam/fer2013")
        assert adapt_steps(paper, 24, chosen_settings("despam/fer2013")).recipe.training.batch_size == (
            paper.training.batch_size
        )

    @pytest.mark.parametrize("start", ["unbalanced", "balanced"])
    def test_class_balance(self, start):
        recipe = load_recipe("finetune")
        assert recipe.data.class_balance > 0
        sizes = {"unbalanced": (40, 10), "balanced": (25, 25)}[start]
        labels = torch.tensor([0] * sizes[0] + [1] * sizes[1])
        from mien.training.batches import FaceSampler

        drawn = labels[list(FaceSampler(labels, class_balance=1.0, seed=0, rank=0, world_size=1))]
        assert abs(int(drawn.sum()) - 25) < (12 if start == "unbalanced" else 1)

    @pytest.mark.parametrize("layout", ["labels", "splits", "fer2013.csv"])
    def test_the_layout_is_found(self, tmp_path, layout):
        """`--dataset` is optional: files say what they are, whatever the recipe was written for."""
        if layout == "fer2013.csv":
            (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n")
        else:
            write_faces(tmp_path if layout == "labels" else tmp_path / "train", OWN, 1)
        wanted = "fer2013" if layout == "fer2013.csv" else "folder"
        for name in ("finetune", "default", "resnet18/fer2013"):
            recipe = adapt_dataset(load_recipe(name), tmp_path, ()).recipe
            assert recipe.data.dataset == wanted
            assert wanted == "fer2013" or not recipe.data.ferplus_weight  # folders have no votes
        chosen = adapt_dataset(load_recipe("default", ["data.dataset=rafdb"]), tmp_path, ("data.dataset",))
        assert chosen.recipe.data.dataset == "rafdb"

    @pytest.mark.parametrize("name", ["finetune", "default", "despam/fer2013"])
    def test_data_that_are_none_say_what_the_recipe_expects(self, tmp_path, name):
        write_faces(tmp_path, OWN[:1], 1)  # one label
        recipe = load_recipe(name)
        with pytest.raises(DataError, match=f"holds no data set.*'{recipe.data.dataset}'") as caught:
            adapt_dataset(recipe, tmp_path, ())
        assert len(str(caught.value)) < 400

    @pytest.mark.parametrize(
        ("folders", "expected"),
        [
            (("calm/1", "cross/1"), "(calm 1 and cross 1), and none for validation; expected 2 images of each label"),
            (("happy/3", "joy/3"), "(folders happy and joy are both read as happy); expected two labels or more"),
            (("joy/5",), "holds no data set. The recipe trains on 'folder'"),
            (("train/calm/3", "test/cross/3"), "training images of one label only (calm 2); expected two or more"),
        ],
    )
    def test_too_few_images_or_labels_end_before_the_start(self, mien, recipe_file, tmp_path, folders, expected):
        """The error names what is needed; nothing is said of steps and nothing is written."""
        for folder in folders:
            name, each = folder.rsplit("/", 1)
            write_faces(tmp_path / "own" / Path(name).parent, (Path(name).name,), int(each))
        words = ("--set", "data.dataset=folder") if len(folders) > 1 else ()
        recipe = "finetune" if len(folders) == 1 else recipe_file
        code, _, said = mien("train", recipe, "--data", tmp_path / "own", "--out", tmp_path / "run", *words)
        assert code == 1
        assert expected in said
        assert said.count("\n") == 1
        assert not (tmp_path / "run").exists()

    def test_what_the_names_of_folders_mean_is_said(self, mien, recipe_file, tmp_path):
        own = write_faces(tmp_path / "own", ("joy", "calm"), 6)
        (own / "tense").mkdir()
        shutil.copy(next((own / "calm").iterdir()), own / "tense")
        code, _, said = mien("train", recipe_file, "--data", own, "--out", tmp_path / "run", "--epochs", 1)
        assert code == 0, said
        assert "note: folder joy is read as happy\n" in said
        assert "note: label 'tense' has no images in validation\n" in said

    def test_folds_score_every_image(self, mien, recipe_file, tmp_path):
        own = write_faces(tmp_path / "own", ("joy", OWN[0]), 10)
        words = ("--data", own, "--out", tmp_path / "runs", "--folds", "--set", "schedule.epochs=1")
        code, _, said = mien("experiment", recipe_file, *words)
        assert code == 0, said
        assert "folder joy is read as happy" in said
        records = [RunRecord.load(path) for path in (tmp_path / "runs").rglob("record.json")]
        assert len(records) == 5
        assert sum(record.scores["n"] for record in records) == 20


class TestLettersOfLabels:
    """Kind 5 too: labels in other scripts were drawn as empty squares, umlauts included."""

    @staticmethod
    def drawing(label):
        face = Face(Box(20, 40, 60, 60), 0.9, label, {label: 0.9, "b": 0.1})
        return draw_still(np.full((160, 320, 3), 90, np.uint8), [face])

    @staticmethod
    def timeline(label):
        drawing = Drawing(200, 60)
        drawing.texts.append(Text(20, 30, label))
        return np.asarray(Image.open(io.BytesIO(drawing.to_png())))

    @pytest.mark.parametrize("kind", ["drawing", "timeline"])
    @pytest.mark.parametrize("pair", [("müde", "möde"), ("λύπη", "λόγο"), ("спокоен", "спокоин"), ("très", "trôs")])
    def test_every_letter_has_a_shape_of_its_own(self, kind, pair):
        one, other = (getattr(self, kind)(label) for label in pair)
        assert one.shape != other.shape or not np.array_equal(one, other)

    def test_ascii_looks_the_same_everywhere(self):
        assert font_for("happy 60 %", 12) is font_for("sad", 12)
        assert font_for("happy", 12).getname() == ImageFont.load_default(size=12).getname()
        assert font_for("müde", 12).getname() != font_for("mude", 12).getname()


class TestStart:
    """Kind 5 too: what a training starts from, and whether it was worth it."""

    def test_the_shipped_weights_are_the_shipped_model(self):
        model = OnnxModel.load("default")
        labels = model.card.labels.names
        network = create_network(parse_recipe(model.card.recipe, "in the card"), len(labels)).eval()
        load_weights(network, find_weights("default").path)
        images = to_batch(synthetic.load(None, LoadOptions(faces_per_class=4)).images, model.card.input)
        with torch.no_grad():
            logits = network(torch.from_numpy(images)).numpy()
        assert np.abs(logits - model.predict(images).logits).max() < 1e-4

    def test_the_weights_in_the_package_are_small(self):
        assets = Path(str(resources.files("mien"))) / "assets"
        weights = [file for file in assets.iterdir() if file.suffix in {".onnx", ".safetensors"}]
        assert sum(file.stat().st_size for file in weights) < 8e6

    @pytest.mark.parametrize("source", ["default", "run", "best.ckpt", "torch"])
    def test_every_kind_of_weights(self, mien, recipe_file, trained, tmp_path, source):
        own = write_faces(tmp_path / "own", OWN[:2], 8)
        words = ("--data", own, "--epochs", 1, "--quiet")
        recipe = "finetune" if source == "default" else recipe_file
        weights = {"run": trained, "best.ckpt": trained / "checkpoints" / "best.ckpt"}.get(source, "default")
        if source == "torch":
            weights = tmp_path / "weights.pt"
            torch.save(load_run(trained).network.state_dict(), weights)
        code, _, said = mien("train", recipe, *words, "--weights", weights, "--out", tmp_path / "second")
        assert code == 0, said
        assert record_of(tmp_path / "second").weights["sha256"]
        assert "loaded" in said

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("defualt", "did you mean"),
            ("gone.safetensors", "No weights"),
            ("x.onnx", "is a model file"),
            (".", "no run"),
        ],
    )
    def test_weights_that_do_not_exist(self, tmp_path, monkeypatch, source, expected):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "x.onnx").write_bytes(b"")
        with pytest.raises(ModelError, match=rf"(?i){expected}") as caught:
            find_weights(source)
        assert "\n" not in str(caught.value)

    def test_labels_with_the_same_name_keep_what_they_know(self):
        """The probabilities of two known labels are those of the shipped model; a new one starts in between."""
        model, drawn = OnnxModel.load("default"), synthetic.load(None, LoadOptions(faces_per_class=2))
        names = model.card.labels.names
        images = to_batch(drawn.images, model.card.input)
        labels = ("happy", "bored", "sad")
        network = create_network(load_recipe("finetune"), 3).eval()
        load_weights(network, find_weights("default").path, (*labels, "non-face"))
        with torch.no_grad():
            new = network(torch.from_numpy(images)).numpy()
        old = model.predict(images).logits
        known = [names.index("happy"), names.index("sad")]
        np.testing.assert_allclose(new[:, 0] - new[:, 2], old[:, known[0]] - old[:, known[1]], atol=1e-3)
        np.testing.assert_allclose(new[:, 0] - new[:, 1], old[:, known[0]] - old[:, :7].mean(1), atol=1e-3)

    @pytest.mark.parametrize(
        ("better", "worse", "kept"), [(5, 0, False), (4, 0, True), (30, 20, True), (40, 20, False)]
    )
    def test_training_must_be_clearly_better_than_its_start(self, tmp_path, better, worse, kept):
        recipe = tiny_recipe(fit_classifier=True)
        start, trained = (create_network(recipe, 2).eval() for _ in range(2))
        for network, label in ((start, 0), (trained, 1)):  # networks that always say the same
            torch.nn.init.zeros_(network.fc.weight)
            with torch.no_grad():
                network.fc.bias.copy_(torch.eye(2)[label])
        save_start(start, tmp_path)
        targets = torch.eye(2)[[1] * better + [0] * worse]
        faces = Faces(torch.zeros(len(targets), 1, 16, 16, dtype=torch.uint8), targets)
        record = RunRecord("tiny", recipe.model_dump(), {}, ["a", "b"], 1, 0.5, 0.25)
        assert is_start_kept(Run(tmp_path, record, recipe, trained), faces) is kept

    def test_the_start_is_selected_and_stays_so(self, tmp_path):
        faces = synthetic.load(None, LoadOptions(faces_per_class=8))
        recipe = tiny_recipe(fit_classifier=True, optimizer={"lr": 1e-9})
        run = fit(recipe, faces, tmp_path, quiet=True)
        again = fit(recipe, faces, tmp_path, quiet=True, resume=True)
        for each in (run, again, load_run(tmp_path)):
            assert each.record.selection["epoch"] == -1
            assert each.record.checkpoint == "checkpoints/start.ckpt"
            assert "fitted classifier" in each.record.selection["rule"]
        start = torch.load(tmp_path / "checkpoints" / "start.ckpt", weights_only=True)["state_dict"]
        assert torch.equal(start["network.fc.weight"], again.network.fc.weight)
        assert find_weights(str(tmp_path)).path.name == "start.ckpt"

    def test_a_slower_backbone_keeps_its_statistics(self, tmp_path):
        faces = synthetic.load(None, LoadOptions(faces_per_class=8))
        for share, moves in ((0.0, False), (0.1, True)):
            recipe = tiny_recipe(optimizer={"backbone_lr_share": share})
            torch.manual_seed(recipe.training.seed)
            run = fit(recipe, faces, tmp_path / str(share), quiet=True)
            other = fit(
                tiny_recipe(optimizer={"backbone_lr_share": share, "lr": 0.02}),
                faces,
                tmp_path / f"{share} 2",
                quiet=True,
            )
            assert torch.equal(run.network.bn1.running_mean, torch.zeros(4))
            assert torch.equal(run.network.conv1.weight, other.network.conv1.weight) is not moves
            assert not torch.equal(run.network.fc.weight, other.network.fc.weight)

    def test_the_recipe_fits_the_shipped_model(self):
        card = OnnxModel.load("default").card
        recipe = load_recipe("finetune")
        assert recipe.network.model_dump() == parse_recipe(card.recipe, "in the card").network.model_dump()


class TestSmallThingsOfTraining:
    """Kind 12: a name that does not exist, a silent wait, a line cut off, two ways to count."""

    CALLS = (
        ["train", "nosuch"],
        ["train", "finetune"],
        ["train", "finetune", "--data", "gone"],
        ["train", "finetune", "--data", "."],
        ["train", "finetune", "--data", "own", "--weights", "gone"],
        ["train", "default", "--data", "own", "--set", "schedule.epoch=1"],
        ["train", "default", "--data", "own", "--ablation", "none"],
        ["train", "default", "--data", "own", "--out", "old"],
        ["experiment", "nosuch"],
        ["experiment", "finetune", "--data", "gone"],
    )

    def test_mistakes_end_before_torch_is_imported(self, tmp_path):
        """Importing torch takes seconds; all these need a fraction of one."""
        write_faces(tmp_path / "own", OWN, 1)
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "record.json").write_text("{}")
        code = (
            "import sys\nfrom mien.apps.cli import main\n"
            f"for words in {self.CALLS!r}:\n"
            "    sys.argv = ['mien', *words]\n"
            "    try: main()\n"
            "    except SystemExit as stop: print(stop.code, 'torch' in sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True, timeout=120
        )
        assert done.stdout.splitlines() == ["1 False"] * len(self.CALLS), done.stderr
        assert done.stderr.count("error: ") == len(self.CALLS)
        assert "Traceback" not in done.stderr

    def test_compiling_is_said_before_it_starts(self, monkeypatch, capsys):
        monkeypatch.setattr(torch, "compile", lambda function, **_: function)
        compilation.compile_outputs(create_network(tiny_recipe(), 7))
        assert "compiling the network: the first step takes" in capsys.readouterr().err

    @pytest.mark.parametrize("steps", [3, 224, 12_345])
    @pytest.mark.parametrize("columns", [80, 120, 200])
    def test_progress_is_never_cut(self, columns, steps):
        screen = io.StringIO()
        shown = Progress(Console(file=screen, force_terminal=True, width=columns, legacy_windows=False))
        trainer = FakeTrainer(steps)
        shown.on_train_start(trainer, None)
        shown.on_train_epoch_start(trainer, None)
        shown.on_train_epoch_end(trainer, None)
        trainer.current_epoch = 1
        shown.on_train_epoch_start(trainer, None)
        shown.on_train_batch_end(trainer, None, None, None, 0)
        shown.bar.refresh()
        shown.on_train_end(trainer, None)
        last = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n").strip().splitlines()[-1]
        for part in ("epoch 2/100", f"1/{steps}", "loss 1.234", "61.2 %", " left"):
            assert part in last
        assert "…" not in last
        assert len(last) <= columns

    def test_lines_of_a_log(self):
        log = io.StringIO()
        shown = Progress(Console(file=log, width=80))
        trainer = FakeTrainer(3)
        shown.on_train_start(trainer, None)
        trainer.current_epoch = 99
        shown.on_train_epoch_end(trainer, None)
        (line,) = log.getvalue().splitlines()
        assert line.startswith("epoch 100 of 100: loss 1.234, validation loss 1.100, validation 61.2 %")

    def test_epochs_count_from_1(self, mien, recipe_file, tmp_path, monkeypatch):
        """In the line of a finished run, in errors and in the log; the format of the record counts from 0."""
        own = write_faces(tmp_path / "own", OWN, 10)
        code, printed, said = mien("train", recipe_file, "--data", own, "--out", tmp_path / "run")
        assert code == 0, said
        assert re.search(r"best epoch on validation accuracy: [12] of 2\)", printed)
        assert "epoch 2 of 2" in said
        assert "epoch 0" not in said
        from mien.training.task import Task

        prepare = Task._prepare
        monkeypatch.setattr(
            Task, "_prepare", lambda task, *batch: (prepare(task, *batch)[0] * np.nan, *prepare(task, *batch)[1:])
        )
        code, _, said = mien("train", recipe_file, "--data", own, "--out", tmp_path / "broken", "--quiet")
        assert code == 1
        assert "The loss of epoch 1 is not a number" in said


class FakeTrainer:
    """A trainer after an epoch."""

    def __init__(self, steps: int) -> None:
        self.num_training_batches, self.max_epochs, self.current_epoch = steps, 100, 0
        self.should_stop = False
        self.callback_metrics = {
            "train/loss": torch.tensor(1.234),
            "validation/loss": torch.tensor(1.1),
            "validation/accuracy": torch.tensor(0.612),
        }


class TestTrainingForPeople:
    """Kind 16: what starts, how it went, and one's own runs first."""

    @pytest.fixture
    def own(self, trained):
        return trained.parent / "own"

    @pytest.fixture
    def run(self, trained, tmp_path):
        return shutil.copytree(trained, tmp_path / "runs" / "mine")

    def test_a_line_says_what_starts(self, trained):
        said = (trained.parent / "said.txt").read_text(encoding="utf-8")
        for part in ("30 training images", f"{OWN[0]} 10", "6 for validation", "2 epochs of", "random weights", "CPU"):
            assert part in said

    def test_short_options(self, run):
        used = record_of(run).recipe
        assert (used["schedule"]["epochs"], used["optimizer"]["lr"], used["training"]["seed"]) == (2, 0.01, 3)

    @pytest.mark.parametrize("name", ["curves.png", "scores.png"])
    def test_charts_in_the_run_folder(self, run, name):
        with Image.open(run / name) as chart:
            assert min(chart.size) > 400
            assert len(np.unique(np.asarray(chart.convert("L")))) > 20

    def test_the_chart_of_an_evaluation(self, mien, run, own, tmp_path):
        code, _, said = mien("evaluate", run, "--data", own, "--plot", "--out", tmp_path / "scores")
        assert code == 0, said
        (chart,) = (tmp_path / "scores").glob("*.png")
        assert str(chart) in said
        with Image.open(chart) as image:
            assert min(image.size) > 400

    def test_scores_of_training_images_are_said_not_to_test_the_model(self, mien, run, own, tmp_path):
        for split, is_said in (("all", True), ("train", True), ("validation", False)):
            code, _, said = mien("evaluate", run, "--data", own, "--split", split, "--out", tmp_path / "scores")
            assert (code, "these scores do not test it" in said) == (0, is_said), said

    def test_a_run_folder_is_taken_where_its_files_are(self, mien, run, own):
        code, printed, said = mien("score", run, "--json")
        assert code == 0, said
        assert json.loads(printed)["n"] == 6
        assert mien("card", run)[0] == 0
        (run / "model.onnx").unlink()
        assert f"write it with `mien export {run}`" in mien("card", run)[2]

    def test_recipes_are_listed(self, mien):
        rows = json.loads(mien("recipes", "--json")[1])
        assert rows[0]["recipe"] == "finetune/folder"
        assert all(row["what"] and row["dataset"] for row in rows)
        for row in rows:
            if not row["recipe"].startswith("detector/"):
                load_recipe(row["recipe"])
        assert "mien train RECIPE --data PATH" in mien("recipes")[1]

    def test_the_report_begins_with_own_runs(self, mien, run, own, recipe_file, tmp_path):
        words = ("--data", own, "--out", tmp_path / "runs" / "second", "--epochs", 2, "--quiet")
        assert mien("train", recipe_file, *words)[0] == 0
        code, _, said = mien("report", tmp_path / "runs", "--out", tmp_path / "report")
        assert code == 0, said
        page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
        text = re.sub(r"<[^>]+>", " ", page)
        for name in ("spayolo", "despam", "hfc"):  # papers without a run
            assert name not in text.lower()
        assert "Training and validation loss" in text
        assert all(label in text for label in OWN)
