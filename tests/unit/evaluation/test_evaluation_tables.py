"""Reported and ours: which runs are averaged, what is compared, and why there is nothing of ours."""

import copy

import pytest

from mien.evaluation.reported import load_reported
from mien.evaluation.tables import LICENCE_GATED, UNTRAINED, compare_reported, measure
from mien.recipes import load_recipe
from mien.recipes.departures import describe_protocol, read_settings

REPORTED = load_reported()


def make_record(
    name="hfc/fer2013", *, accuracy=0.7, ablation=None, seed=0, overrides=(), finished=True, split="validation"
):
    recipe = load_recipe(name, [*overrides, f"training.seed={seed}"], ablation)
    return {
        "name": recipe.name,
        "recipe": recipe.model_dump(),
        "parameters": 11_174_539,
        "finished": finished,
        "curves": [{"epoch": 0}],
        "hardware": {"processor": "Z80", "accelerator": "cpu"},
        "selection": {"rule": "best epoch on validation accuracy", "epoch": 41},
        "scores": {
            "split": split,
            "accuracy": accuracy,
            "mean_class_accuracy": accuracy - 0.1,
            "macro_f1": accuracy - 0.05,
            "per_class": {"angry": {"recall": 0.5}, "disgust": {"recall": None}},
        },
    }


def rows_for(records, *, paper="hfc", table="Table 2", row="ResNet18 + Ours", column="Average"):
    rows = compare_reported([figure for figure in REPORTED if figure.dataset == "fer2013"], records)
    place = (paper, table, row, column)
    return [r for r in rows if (r.figure.paper, r.figure.table, r.figure.row, r.figure.column) == place]


def test_without_runs_every_figure_has_one_row_and_a_reason():
    rows = compare_reported(REPORTED, [])
    assert [row.figure for row in rows] == list(REPORTED)
    for row in rows:
        assert (row.ours, row.difference, row.n) == (None, None, 0)
        if not row.figure.recipe:
            assert row.remark in {"another method", "not run: the images are not published"}
        elif row.figure.metric in UNTRAINED:
            assert row.remark == "not measured"
        elif row.figure.dataset in LICENCE_GATED:
            assert row.remark == "not run: licence-gated"
        elif row.figure.dataset in {"fer2013", "ferplus", "ckplus"}:
            assert row.remark == "not run"


def test_seeds_are_averaged_in_the_unit_of_the_paper():
    (row,) = rows_for([make_record(accuracy=0.70, seed=2), make_record(accuracy=0.72, seed=1)])
    assert row.ours == pytest.approx(61.0)
    assert row.deviation == pytest.approx(2**0.5)
    assert row.difference == pytest.approx(61.0 - 60.43)
    assert (row.n, row.seeds, row.remark, row.hardware) == (2, (1, 2), "", "Z80")
    assert row.protocol == "official, scored on validation"
    assert row.selection == "best epoch on validation accuracy"


@pytest.mark.parametrize(
    ("overrides", "remark"),
    [
        (["schedule.epochs=20"], "shortened: 20 of 100 epochs"),
        (["network.input_size=64"], "shortened: 64 of 224 pixels"),
        (
            ["schedule.epochs=2", "network.input_size=48", "optimizer.lr=1e-3"],
            "shortened: 2 of 100 epochs, 48 of 224 pixels; changed: optimizer.lr 0.001 (0.0001)",
        ),
    ],
)
def test_of_shortened_runs_only_the_parameters_are_comparable(overrides, remark):
    record = make_record(overrides=[*overrides, 'name="hfc/fer2013-short"'])
    (row,) = rows_for([record])
    assert row.is_shortened
    assert (row.remark, row.difference) == (remark, None)
    assert row.ours == pytest.approx(60)
    (row,) = rows_for([record], column="Param.")
    assert row.difference == 4539


@pytest.mark.parametrize(
    ("override", "remark"),
    [
        ("augmentation.mixup=0.2", "augmentation.mixup 0.2 (0)"),  # not in the recipe's file: the default counts
        ("network.modulators.stage2=se", "network.modulators.stage2 se (unset)"),
        ('distillation.teachers=["runs/a"]', "distillation.teachers ['runs/a'] ([])"),
        ("network.input_size=256", "network.input_size 256 (224)"),
    ],
)
def test_changed_settings_are_named_and_not_averaged(override, remark):
    changed, plain = make_record(overrides=[override]), make_record()
    rows = rows_for([changed, plain])
    assert sorted((row.n, row.remark) for row in rows) == [(1, ""), (1, f"changed: {remark}")]
    assert all(row.difference is not None for row in rows)


def test_whole_and_shortened_runs_and_protocols_are_not_mixed():
    stopped = make_record(accuracy=0.5, finished=False)
    rows = rows_for([stopped, make_record(accuracy=0.7), make_record(split="test")])
    assert {(row.remark, row.protocol, row.deviation) for row in rows} == {
        ("", "official, scored on validation", None),
        ("", "official, scored on test", None),
        ("shortened: 1 of 100 epochs", "official, scored on validation", None),
    }
    assert rows[-1].is_shortened


def test_the_papers_protocol_is_listed_beside_the_recipes_own():
    records = [make_record(accuracy=0.6), make_record(accuracy=0.7, ablation="paper_protocol")]
    rows = rows_for(records)
    assert sorted(row.ours for row in rows) == pytest.approx([50, 60])
    assert {row.remark for row in rows} == {""}
    assert len({row.protocol for row in rows}) == 2


def test_runs_of_other_data_and_other_recipes_are_ignored():
    elsewhere = make_record(overrides=["data.dataset=ferplus"])
    foreign = make_record("resnet18/fer2013")
    foreign["recipe"]["name"] = "mine/wide"
    without_scores = {**make_record(), "scores": {}}
    (row,) = rows_for([elsewhere, foreign, without_scores, {}])
    assert row.remark == "not run"


def test_what_a_record_lacks_is_not_measured():
    (row,) = rows_for([make_record()], column="Disgust")
    assert (row.ours, row.remark) == (None, "not measured")
    (row,) = rows_for([make_record()], column="Angry")
    assert row.ours == 50
    (row,) = rows_for([make_record()], column="Best Epoch")
    assert row.ours == 42


def test_loss_and_plateau_come_from_the_curves():
    record = copy.deepcopy(make_record())
    assert measure(record, "final_loss") is None
    record["curves"] = [{"train_loss": 2 - e / 20, "validation_accuracy": min(0.6, 0.1 * e)} for e in range(20)]
    assert measure(record, "final_loss") == pytest.approx(1.05)
    assert measure(record, "plateau_epoch") == 11


@pytest.mark.parametrize("value", [None, "0.7", True, float("nan")])
def test_scores_that_are_not_numbers_are_none(value):
    record = copy.deepcopy(make_record())
    record["scores"]["accuracy"] = value
    assert measure(record, "accuracy") is None
    assert read_settings(record) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "official, scored on test"),
        ({"protocol": "ratio", "shares": [7, 2, 1]}, "ratio 7:2:1, scored on test"),
        ({"protocol": "ratio", "counts": [735, 246]}, "ratio 735:246, scored on test"),
        ({"protocol": "subject-k-fold", "folds": 10}, "10 folds by subject, scored on test"),
        ({"use_clean": True}, "official, no duplicates in training, scored on test"),
        ({"validation_from": ["validation", "test"]}, "official, validation from validation and test, scored on test"),
    ],
)
def test_protocols_in_words(data, words):
    assert describe_protocol({"recipe": {"data": data}, "scores": {"split": "test"}}) == words
