"""The queue and its ledger: what is run, in which order, within which time, and what is recorded."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from mien.core.errors import DataError, InterruptedTrainingError, MienError, RecipeError
from mien.recipes.queue import Job, QueueEntry, choose_jobs, load_queue
from mien.recipes.record import RunRecord
from mien.training import worker
from mien.training.ledger import LEDGER, Ledger, LedgerRow
from mien.training.reinforcement import Manifest
from mien.training.worker import Worker

MAIN = {"accuracy": 0.7, "mean_class_accuracy": 0.6, "macro_f1": 0.5, "nll": 1.0, "ece": 0.1, "n": 10}
BRIEF = MAIN | {"dataset": "synthetic", "split": "validation", "selection": "last epoch", "without_duplicates": MAIN}
SCORES = BRIEF | {"per_class": {"happy": {"recall": 0.9, "n": 4}}, "confusion": [[1]]}


def entry(name="a", **keys):
    return QueueEntry.model_validate(
        {"name": name, "recipe": "resnet18/synthetic", "set": ["schedule.epochs=4"], **keys}
    )


class World:
    """A clock in minutes, and training that takes one minute per epoch and two to publish."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.now = folder, 0.0
        self.fitted, self.loaded, self.lines, self.failing = [], [], [], {}
        monkeypatch.setattr(worker, "fit", self.fit)
        monkeypatch.setattr(worker, "load_faces", self.load)
        monkeypatch.setattr(worker, "divide", lambda dataset, protocol: dataset)
        monkeypatch.setattr(worker.time, "monotonic", lambda: 60 * self.now)

    def load(self, settings, path):
        self.loaded.append(settings.network.input_size)

    def fit(self, settings, dataset, folder, *, resume, minutes, quiet):
        self.fitted.append(settings)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "record.json"
        record = RunRecord.load(path) if path.exists() else RunRecord("n", {}, {}, [], 1, 0.5, 0.25)
        start = self.now
        while len(record.curves) < settings.schedule.epochs:
            self.now += 1
            record.minutes += 1
            record.curves.append({"epoch": len(record.curves)})
            record.finished = len(record.curves) == settings.schedule.epochs
            record.save(path)
            if settings.name in self.failing:
                raise self.failing[settings.name]
            if minutes is not None and self.now - start + 1 > minutes:
                break
        return SimpleNamespace(record=record, folder=folder)

    def publish(self, run, dataset):
        self.now += 2
        return SCORES

    def work(self, entries, minutes=None, only=()):
        deadline = None if minutes is None else 60 * (self.now + minutes)
        made = Worker(Ledger(self.folder), None, self.publish, self.lines.append, deadline)
        return made.run_all(choose_jobs(entries, only, has_accelerator=False))

    def rows(self):
        return {(row["name"], row["seed"]): row for row in json.loads((self.folder / LEDGER).read_text())}


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path / "runs", monkeypatch)


def test_runs_in_order_of_the_queue_and_seeds(world):
    assert world.work([entry("b", seeds=[3, 1]), entry("a")]) == []
    assert [(settings.name, settings.training.seed) for settings in world.fitted] == [("b", 3), ("b", 1), ("a", 0)]
    row = world.rows()["b", 3]
    assert row["state"] == "finished"
    assert (row["epochs_done"], row["epochs_planned"], row["minutes"]) == (4, 4, 4)
    assert row["scores"] == BRIEF | {"recall": {"happy": 0.9}}
    assert row["overrides"] == ["schedule.epochs=4"]
    assert (world.folder / row["record"]).is_file()
    assert world.lines[0] == "b seed 3: finished, 4 of 4 epochs, 4.0 minutes, 70.00 % of validation"


def test_finished_runs_are_not_repeated(world):
    world.work([entry("a")])
    world.work([entry("a"), entry("b")])
    assert [settings.name for settings in world.fitted] == ["a", "b"]


def test_a_run_out_of_time_is_resumed(world):
    world.work([entry("a")], minutes=2.5)
    assert world.rows()["a", 0]["state"] == "unfinished"
    assert world.rows()["a", 0]["epochs_done"] == 2
    world.work([entry("a")])
    row = world.rows()["a", 0]
    assert (row["state"], row["minutes"]) == ("finished", 4)


def test_after_the_deadline_nothing_starts(world):
    world.work([entry("a"), entry("b", seeds=[0, 1])], minutes=5)
    assert world.lines[-1] == "no time is left for 2 more: b seed 0, b seed 1"
    assert list(world.rows()) == [("a", 0)]


def test_a_trained_run_is_only_published(world, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(world, "publish", lambda run, dataset: 1 / 0)
        failed = world.work([entry("a")])
    assert failed[0].message.startswith("ZeroDivisionError")
    assert world.work([entry("a")], minutes=3) == []
    row = world.rows()["a", 0]
    assert (row["state"], row["minutes"], row["message"]) == ("finished", 4, "")


def test_a_failure_is_in_the_ledger_and_the_next_run_starts(world):
    world.failing = {"a": MienError("The loss is\nnot a number")}
    failed = world.work([entry("a"), entry("b")])
    assert [row.name for row in failed] == ["a"]
    rows = world.rows()
    assert (rows["a", 0]["state"], rows["a", 0]["message"]) == ("failed", "The loss is not a number")
    assert rows["a", 0]["epochs_done"] == 1
    assert rows["b", 0]["state"] == "finished"
    world.failing = {}
    assert world.work([entry("a")]) == []
    assert world.rows()["a", 0]["state"] == "finished"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"recipe": "nothing"}, "Recipe 'nothing' is unknown"),
        ({"set": ["schedule.epochs=none"]}, "'schedule.epochs' = 'none'"),
        ({"set": ["training.devices=2"]}, "in one process"),
    ],
)
def test_an_entry_whose_recipe_cannot_be_run_is_a_failed_run(world, keys, message):
    failed = world.work([entry("a", **keys), entry("b")])
    assert [row.name for row in failed] == ["a"]
    assert message in failed[0].message


def test_data_that_cannot_be_loaded_fail_the_run(world, monkeypatch):
    def refuse(settings, path):
        raise DataError("No data set named 'rafdb'.")

    monkeypatch.setattr(worker, "load_faces", refuse)
    assert world.work([entry("a")])[0].message == "No data set named 'rafdb'."


def test_a_damaged_record_fails_its_run_only(world):
    (world.folder / "a-seed0").mkdir(parents=True)
    (world.folder / "a-seed0" / "record.json").write_text("{")
    assert [row.name for row in world.work([entry("a"), entry("b")])] == ["a"]
    assert world.rows()["b", 0]["state"] == "finished"


def test_interruption_leaves_an_unfinished_run(world):
    world.failing = {"a": InterruptedTrainingError("Training was interrupted.")}
    with pytest.raises(KeyboardInterrupt):
        world.work([entry("a"), entry("b")])
    assert list(world.rows()) == [("a", 0)]
    assert world.lines == ["interrupted; rerun to continue", "a seed 0: unfinished, 1 of 4 epochs, 1.0 minutes"]
    assert (world.rows()["a", 0]["state"], world.rows()["a", 0]["message"]) == ("unfinished", "")
    world.failing = {}
    world.work([entry("a")])
    assert world.rows()["a", 0]["state"] == "finished"


def test_a_killed_run_is_found_again(world):
    """After kill -9 the ledger has the row from before the first step, and the record what was done since."""
    world.fit(Job(entry("a"), 0).load_recipe(), None, world.folder / "a-seed0", resume=True, minutes=0, quiet=True)
    Ledger(world.folder).add(LedgerRow.of(Job(entry("a"), 0)))
    row = Ledger(world.folder).rows["a", 0]
    row.read_record(world.folder)
    assert (row.epochs_done, row.minutes) == (1, 1)
    world.work([entry("a")])
    assert world.rows()["a", 0]["minutes"] == 4


def test_runs_of_the_same_data_load_them_once(world):
    sizes = [f"network.input_size={size}" for size in (48, 48, 56, 48)]
    world.work([entry(f"a{i}", set=["schedule.epochs=1", size]) for i, size in enumerate(sizes)])
    assert world.loaded == [48, 56, 48]


def test_other_settings_under_a_known_name_are_refused(world):
    world.work([entry("a")])
    with pytest.raises(MienError, match="holds a seed 0 with other settings"):
        world.work([entry("a", set=["schedule.epochs=5"])])


class TestTeachers:
    ENTRIES = (entry("a", seeds=[0, 2]), entry("b"), entry("student", teachers=["b", "a"]))

    def test_wait_until_all_their_runs_are_finished(self, world):
        assert world.work(self.ENTRIES, only=["student"]) == []
        assert world.lines == ["waiting for their teachers or views: student seed 0"]
        world.failing = {"b": MienError("no")}
        world.work(self.ENTRIES)
        assert ("student", 0) not in world.rows()
        world.failing = {}
        world.work(self.ENTRIES)
        assert world.rows()["student", 0]["state"] == "finished"

    def test_their_folders_reach_the_recipe(self, world):
        world.work(self.ENTRIES)
        folders = [str(world.folder / name) for name in ("b-seed0", "a-seed0", "a-seed2")]
        assert world.fitted[-1].distillation.teachers == folders
        assert world.fitted[0].distillation.teachers == []
        # the ledger may move: its folder is not part of what was asked for
        changes = ["schedule.epochs=4", 'distillation.teachers=["b-seed0", "a-seed0", "a-seed2"]']
        assert world.rows()["student", 0]["overrides"] == changes


class TestStoredViews:
    ENTRY = entry("student", reinforced="views")

    def test_a_run_waits_until_they_are_complete(self, world):
        folder = world.folder / "views"
        for views in (None, 1, 2):
            assert world.fitted == []
            if views is not None:
                folder.mkdir(parents=True, exist_ok=True)
                Manifest({}, planned=2, views=[{}] * views).save(folder)
            world.work([self.ENTRY])
        assert world.lines[:2] == ["waiting for their teachers or views: student seed 0"] * 2
        assert world.fitted[0].distillation.reinforced == str(folder)
        assert world.rows()["student", 0]["overrides"] == ["schedule.epochs=4", 'distillation.reinforced="views"']


def test_folds_are_runs_of_their_own():
    folded = entry("cv", set=["data.protocol=k-fold", "data.folds=3"], folds=True, seeds=[0, 1])
    jobs = choose_jobs([folded, entry("b")], ["cv"], has_accelerator=False)
    assert [job.label for job in jobs] == [f"cv-fold{fold} seed {seed}" for fold in range(3) for seed in (0, 1)]
    assert [job.load_recipe().data.fold for job in jobs] == [0, 0, 1, 1, 2, 2]
    with pytest.raises(RecipeError, match="'whole' asks for folds; its protocol 'official' has none"):
        choose_jobs([entry("whole", folds=True)], has_accelerator=False)


def test_name_and_seed_reach_the_recipe():
    settings = Job(entry("despam/fer2013-short"), 4).load_recipe()
    assert (settings.name, settings.training.seed, settings.schedule.epochs) == ("despam/fer2013-short", 4, 4)


class TestChoice:
    ENTRIES = (entry("a/x"), entry("a/y", hardware="accelerator"), entry("b", hardware="cpu", seeds=[0, 1]))

    def names(self, *only, has_accelerator=False):
        return [job.label for job in choose_jobs(self.ENTRIES, only, has_accelerator=has_accelerator)]

    def test_by_hardware(self):
        assert self.names() == ["a/x seed 0", "b seed 0", "b seed 1"]
        assert self.names(has_accelerator=True) == ["a/x seed 0", "a/y seed 0"]

    def test_by_name_whatever_the_hardware(self):
        assert self.names("a/*") == ["a/x seed 0", "a/y seed 0"]
        assert self.names("b", has_accelerator=True) == ["b seed 0", "b seed 1"]

    def test_unknown_name(self):
        with pytest.raises(RecipeError, match=r"no run 'a/z'\. Did you mean 'a/[xy]'\?"):
            self.names("a/z")


class TestQueueFile:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("run = 1", "run: input should be a valid list"),
            ("x = [", "is not TOML"),
            ("", "run: field required"),
            ('[[run]]\nname = "a"\nrecipe = "b"\nsed = 1', r"run\.0\.sed: extra inputs"),
            ('[[run]]\nname = "a b"\nrecipe = "b"', r"run\.0\.name"),
            ('[[run]]\nname = "a/b"\nrecipe = "b"\n[[run]]\nname = "a-b"\nrecipe = "b"', "uses the name 'a-b' twice"),
            (
                '[[run]]\nname = "a/b"\nrecipe = "b"\nteachers = ["a/c"]\n[[run]]\nname = "a/c"\nrecipe = "b"',
                "'a/c', a teacher of 'a/b', is not an earlier run",
            ),
        ],
    )
    def test_mistakes_are_one_line(self, tmp_path, text, message):
        (tmp_path / "queue.toml").write_text(text)
        with pytest.raises(RecipeError, match=message):
            load_queue(tmp_path / "queue.toml")

    def test_no_file(self, tmp_path):
        with pytest.raises(RecipeError, match="No queue file"):
            load_queue(tmp_path / "queue.toml")


class TestLedger:
    def row(self, name="a", seed=0, **keys):
        return LedgerRow(name, "r", None, [], seed, **keys)

    def test_round_trip(self, tmp_path):
        ledger = Ledger(tmp_path / "new")
        ledger.add(self.row(scores={"accuracy": 0.5}))
        ledger.add(self.row(seed=1))
        ledger.add(self.row(message="again"))
        again = Ledger(tmp_path / "new")
        assert again.rows == ledger.rows
        assert list(again.rows) == [("a", 0), ("a", 1)]
        assert [path.name for path in (tmp_path / "new").iterdir()] == [LEDGER]

    def test_keys_of_earlier_versions_are_left_out(self, tmp_path):
        row = {"name": "a", "recipe": "r", "ablation": None, "overrides": [], "seed": 0, "overhead_minutes": 2.0}
        (tmp_path / LEDGER).write_text(json.dumps([row]))
        assert Ledger(tmp_path).rows["a", 0] == self.row()

    @pytest.mark.parametrize("text", ["{", "[1]", '[{"name": "a"}]', "3"])
    def test_not_a_ledger(self, tmp_path, text):
        (tmp_path / LEDGER).write_text(text)
        with pytest.raises(MienError, match="is not a ledger"):
            Ledger(tmp_path)
