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
from mien.training.worker import Worker

SCORES = {"accuracy": 0.7, "mean_class_accuracy": 0.6, "n": 10, "split": "validation"}
SCORES = SCORES | {"without_duplicates": dict(SCORES), "confusion": [[1]]}


def entry(name="a", **keys):
    return QueueEntry.model_validate(
        {"name": name, "recipe": "resnet18/synthetic", "set": ["schedule.epochs=4"], **keys}
    )


class World:
    """A clock in minutes, and training that takes one minute an epoch (more in `pace`) and two to publish."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.now, self.pace = folder, 0.0, {}
        self.fitted, self.loaded, self.lines, self.failing = [], [], [], {}
        monkeypatch.setattr(worker, "fit", self.fit)
        monkeypatch.setattr(worker, "load_faces", self.load)
        monkeypatch.setattr(worker.time, "monotonic", lambda: 60 * self.now)

    def load(self, settings, path):
        key = (settings.data.dataset, settings.network.input_size, settings.network.channels)
        self.loaded.append(key)
        return key

    def fit(self, settings, dataset, folder, *, resume, minutes, quiet):
        assert resume
        assert quiet
        self.fitted.append((settings.name, settings.training.seed, minutes))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "record.json"
        given = RunRecord("n", {}, {}, [], 1, 0.5, 0.25, hardware={"accelerator": "cpu", "processor": "chip"})
        record = RunRecord.load(path) if path.exists() else given
        self.save(record, path)
        step, start = self.pace.get(settings.name, 1.0), self.now
        while len(record.curves) < settings.schedule.epochs:
            self.now += step
            record.minutes += step
            record.curves.append({"epoch": len(record.curves)})
            record.finished = len(record.curves) == settings.schedule.epochs
            self.save(record, path)
            if settings.name in self.failing:
                raise self.failing[settings.name]
            if minutes is not None and self.now - start + step > minutes:
                break
        return SimpleNamespace(record=record, folder=folder)

    def save(self, record, path):
        record.save(path)

    def publish(self, run, dataset):
        self.now += 2
        return SCORES

    def work(self, entries, minutes=None, only=()):
        made = Worker(Ledger(self.folder), None, self.publish, self.lines.append, minutes, 60 * self.now)
        made.hardware = "chip"
        return made.run_all(choose_jobs(entries, only, has_accelerator=False))

    def rows(self):
        return {(row["name"], row["seed"]): row for row in json.loads((self.folder / LEDGER).read_text())}


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path / "runs", monkeypatch)


def test_runs_in_order_of_the_queue_and_seeds(world):
    assert world.work([entry("b", seeds=[3, 1]), entry("a")]) == []
    assert [(name, seed) for name, seed, _ in world.fitted] == [("b", 3), ("b", 1), ("a", 0)]
    row = world.rows()["b", 3]
    assert row["state"] == "finished"
    assert (row["epochs_done"], row["epochs_planned"], row["minutes"], row["overhead_minutes"]) == (4, 4, 4, 2)
    assert row["scores"] == {
        "accuracy": 0.7,
        "mean_class_accuracy": 0.6,
        "n": 10,
        "split": "validation",
        "without_duplicates": {"accuracy": 0.7, "mean_class_accuracy": 0.6, "n": 10},
    }
    assert row["overrides"] == ["schedule.epochs=4"]
    assert row["hardware"] == "chip"
    assert (world.folder / row["record"]).is_file()
    assert world.lines[0] == "b seed 3: finished, 4 of 4 epochs, 4.0 minutes, 70.00 % of validation"


def test_finished_runs_are_not_repeated(world):
    world.work([entry("a")])
    world.work([entry("a"), entry("b")])
    assert [name for name, *_ in world.fitted] == ["a", "b"]


def test_a_run_out_of_time_is_resumed(world):
    world.work([entry("a")], minutes=4)
    assert world.rows()["a", 0]["state"] == "unfinished"
    assert world.rows()["a", 0]["epochs_done"] < 4
    assert world.rows()["a", 0]["scores"] == {}
    world.work([entry("a")])
    assert world.rows()["a", 0]["state"] == "finished"
    assert world.rows()["a", 0]["minutes"] == 4


def test_time_for_publishing_is_reserved(world):
    world.work([entry("a")])
    world.work([entry("b")], minutes=7)
    assert world.fitted[-1][2] == pytest.approx(5)  # two minutes, as similar runs took
    assert world.now == pytest.approx(6 + 6)


def test_a_run_without_time_for_an_epoch_is_not_started_and_a_smaller_one_is(world):
    big, small = entry("big", seeds=[0, 1]), entry("small", recipe="resnet18/fer2013")
    world.pace = {"big": 5.0}
    world.work([big], only=["big"], minutes=10)  # seed 0 begins, 2 epochs
    assert world.rows()["big", 0]["epochs_done"] == 1
    world.fitted.clear()
    world.work([big, small], minutes=5.5)
    assert [name for name, *_ in world.fitted] == ["small"]
    assert world.lines[-1] == "too little time is left for 2 more: big seed 0, big seed 1"
    assert ("big", 1) not in world.rows()


def test_an_unmeasured_run_is_not_started_in_the_last_moments(world):
    world.work([entry("a"), entry("b", recipe="resnet18/fer2013")], minutes=7)
    assert [name for name, *_ in world.fitted] == ["a"]


def test_a_trained_run_is_only_published(world, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(world, "publish", lambda run, dataset: 1 / 0)
        failed = world.work([entry("a")])
    assert failed[0].message.startswith("ZeroDivisionError")
    assert world.work([entry("a")], minutes=3) == []
    row = world.rows()["a", 0]
    assert (row["state"], row["minutes"], row["overhead_minutes"], row["message"]) == ("finished", 4, 2, "")


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


@pytest.mark.parametrize("keys", [{"recipe": "nothing"}, {"set": ["schedule.epochs=none"]}, {"ablation": "none"}])
def test_an_entry_whose_recipe_does_not_load_is_a_failed_run(world, keys):
    failed = world.work([entry("a", **keys), entry("b")])
    assert [row.name for row in failed] == ["a"]
    assert failed[0].message.startswith("Recipe ")


def test_data_that_cannot_be_loaded_fail_the_run(world, monkeypatch):
    def refuse(settings, path):
        raise DataError("No data set named 'rafdb'.")

    monkeypatch.setattr(worker, "load_faces", refuse)
    assert world.work([entry("a")])[0].message == "No data set named 'rafdb'."


def test_recipes_with_several_processes_are_refused(world):
    failed = world.work([entry("a", set=["training.devices=2"])])
    assert "in one process" in failed[0].message


def test_a_damaged_record_fails_its_run_only(world):
    (world.folder / "a-seed0").mkdir(parents=True)
    (world.folder / "a-seed0" / "record.json").write_text("{")
    assert [row.name for row in world.work([entry("a"), entry("b")])] == ["a"]
    assert world.rows()["b", 0]["state"] == "finished"


def test_interruption_leaves_an_unfinished_run(world, monkeypatch):
    fit = world.fit

    def interrupted(*given, **named):
        fit(*given, **(named | {"minutes": 0}))
        raise InterruptedTrainingError("Training was interrupted.")

    with monkeypatch.context() as patch:
        patch.setattr(worker, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            world.work([entry("a"), entry("b")])
    assert list(world.rows()) == [("a", 0)]
    assert world.lines[-1].startswith("interrupted; rerun to continue. a seed 0: unfinished, 1 of 4 epochs")
    row = world.rows()["a", 0]
    assert (row["state"], row["message"], row["epochs_done"]) == ("unfinished", "", 1)
    world.work([entry("a")])
    assert world.rows()["a", 0]["state"] == "finished"


def test_a_killed_run_is_found_again(world):
    """After kill -9 the ledger has the row from before the first step, and the record what was done since."""
    world.fit(Job(entry("a"), 0).load_recipe(), None, world.folder / "a-seed0", resume=True, minutes=0, quiet=True)
    Ledger(world.folder).add(LedgerRow.of(Job(entry("a"), 0)))
    row = Ledger(world.folder).rows["a", 0]
    assert (row.state, row.epochs_done) == ("unfinished", 0)
    assert not row.read_record(world.folder)
    assert (row.epochs_done, row.minutes) == (1, 1)
    world.work([entry("a")])
    assert world.rows()["a", 0]["minutes"] == 4


def test_data_sets_are_loaded_once_and_the_last_two_kept(world):
    sizes = [f"network.input_size={size}" for size in (48, 48, 56, 48, 64, 56)]
    world.work([entry(f"a{i}", set=["schedule.epochs=1", size]) for i, size in enumerate(sizes)])
    assert [size for _, size, _ in world.loaded] == [48, 56, 64, 56]


def test_other_settings_under_a_known_name_are_refused(world):
    world.work([entry("a")])
    with pytest.raises(MienError, match="holds a seed 0 with other settings"):
        world.work([entry("a", set=["schedule.epochs=5"])])


class TestTeachers:
    ENTRIES = (entry("a", seeds=[0, 2]), entry("b"), entry("student", teachers=["b", "a"]))

    def test_wait_until_all_their_runs_are_finished(self, world):
        assert world.work(self.ENTRIES, only=["student"]) == []
        assert world.lines == ["waiting for their teachers: student seed 0"]
        world.failing = {"b": MienError("no")}
        world.work(self.ENTRIES)
        assert ("student", 0) not in world.rows()
        world.failing = {}
        world.work(self.ENTRIES)
        assert world.rows()["student", 0]["state"] == "finished"

    def test_their_folders_reach_the_recipe(self, world, monkeypatch):
        seen = []
        fit = world.fit
        monkeypatch.setattr(
            worker, "fit", lambda recipe, *rest, **named: seen.append(recipe) or fit(recipe, *rest, **named)
        )
        world.work(self.ENTRIES)
        folders = [str(world.folder / name) for name in ("b-seed0", "a-seed0", "a-seed2")]
        assert seen[-1].distillation.teachers == folders
        assert seen[0].distillation.teachers == []
        # the ledger may move: its folder is not part of what was asked for
        changes = ["schedule.epochs=4", 'distillation.teachers=["b-seed0", "a-seed0", "a-seed2"]']
        assert world.rows()["student", 0]["overrides"] == changes

    def test_other_teachers_under_a_known_name_are_refused(self, world):
        world.work(self.ENTRIES)
        with pytest.raises(MienError, match="holds student seed 0 with other settings"):
            world.work([*self.ENTRIES[:2], entry("student", teachers=["a"])])


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
        return LedgerRow(name, "r", None, [], seed, hardware="chip", **keys)

    def test_round_trip(self, tmp_path):
        ledger = Ledger(tmp_path / "new")
        ledger.add(self.row(scores={"accuracy": 0.5}))
        ledger.add(self.row(seed=1))
        ledger.add(self.row(message="again"))
        again = Ledger(tmp_path / "new")
        assert again.rows == ledger.rows
        assert list(again.rows) == [("a", 0), ("a", 1)]
        assert [path.name for path in (tmp_path / "new").iterdir()] == [LEDGER]

    @pytest.mark.parametrize("text", ["{", "[1]", '[{"name": "a"}]', '[{"x": 1}]', "3"])
    def test_not_a_ledger(self, tmp_path, text):
        (tmp_path / LEDGER).write_text(text)
        with pytest.raises(MienError, match="is not a ledger"):
            Ledger(tmp_path)

    def test_estimates_prefer_the_most_similar_runs_on_the_same_hardware(self, tmp_path):
        ledger = Ledger(tmp_path)

        def estimate(measure="minutes_per_epoch", hardware="chip"):
            return ledger.estimate(self.row("b"), hardware, measure)

        assert estimate() is None
        ledger.add(self.row("c", epochs_done=1, minutes=9.0, overhead_minutes=3.0))
        assert (estimate(), estimate("overhead_minutes"), estimate(hardware="another")) == (9, 3, None)
        ledger.add(self.row("b", 1, epochs_done=2, minutes=4.0))
        assert (estimate(), estimate("overhead_minutes")) == (2, 3)
        ledger.add(self.row("b", 0, epochs_done=4, minutes=4.0))
        assert estimate() == 1
