"""What the measured section of the page on protocols is computed from, and where it is written."""

import json
import math

import pytest

from lab import ROOT
from lab.intervals import Counted, effect_of_part, mean_over_runs
from lab.pages import AUDIT, main
from lab.practices import END, START, insert_practices, make_practices, read_duplicates, read_gain
from mien.core.errors import DataError

PAGE = f"above\n{START}\nold\n{END}\nbelow\n"


def make_run(curve=(), scores=None, dataset="fer2013", protocol="official"):
    return {
        "name": "a",
        "recipe": {"data": {"dataset": dataset}},
        "data": {"protocol": {"name": protocol}},
        "curves": [{"validation_accuracy": accuracy} for accuracy in curve],
        "scores": {"split": "validation", "accuracy": 0.7, **(scores or {})},
    }


def make_measured():
    pairs = [("one", "flip", 0.007), ("one", "ten-crop", 0.009), ("flip", "ten-crop", 0.002)]
    differences = [{"from": a, "to": b, "accuracy": d, "interval": [d - 0.001, d + 0.001]} for a, b, d in pairs]
    right = {"one": 70, "flip": 71, "ten-crop": 71}
    votes = {"official": {"n": 300, "right": 240}, "added": {"n": 100, "right": 40}}
    return {
        "networks": [{"model": "a", "n": 100, "right": right, "differences": differences}],
        "ferplus": {"model": "a", **votes},
    }


def test_the_effect_of_a_part_is_the_difference_of_the_accuracies_of_all_and_of_the_rest():
    part, rest = Counted(250, 280), Counted(2300, 3309)
    effect = effect_of_part(part, rest)
    assert effect.value == pytest.approx((250 + 2300) / (280 + 3309) - 2300 / 3309)
    # Newcombe's example (a) of method 10: 56 of 70 and 48 of 80 differ by 0.20, 0.0524 to 0.3339
    weight = 70 / 150
    example = [bound / weight for bound in effect_of_part(Counted(56, 70), Counted(48, 80))]
    assert example == pytest.approx([0.2, 0.0524, 0.3339], abs=1e-4)


def test_the_interval_of_a_mean_holds_it_and_is_a_point_for_equal_runs():
    mean = mean_over_runs([0.01, 0.02, 0.03, 0.04])
    assert mean.value == pytest.approx(0.025)
    assert mean.low < mean.value < mean.high
    assert mean_over_runs([0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_the_gain_is_that_of_the_best_epoch():
    gain = read_gain(make_run([0.1] * 5 + [0.6, 0.7, 0.5, 0.5, 0.6]))
    assert gain.over_last == pytest.approx(0.1)
    assert gain.over_last_five == pytest.approx(0.7 - 0.58)
    assert read_gain(make_run([0.5] * 9)) is None


def test_duplicates_are_the_images_that_the_rest_lacks():
    rest = {"n": 90, "accuracy": 0.6}
    counts = read_duplicates(make_run(scores={"n": 100, "accuracy": 0.62, "without_duplicates": rest}))
    assert counts == (Counted(8, 10), Counted(54, 90))
    assert read_duplicates(make_run(scores={"n": 100, "accuracy": 0.62})) is None


def test_without_records_every_practice_is_not_measured():
    rows = [line for line in make_practices([], {}) if line.startswith("| ")][2:]
    assert len(rows) == 9
    assert all("| not measured |" in row for row in rows)


def test_only_classifiers_scored_on_the_official_public_test_count():
    rising = [0.5] * 9 + [0.6]
    runs = [make_run(rising), make_run(rising, dataset="ferplus"), make_run(rising, protocol="random")]
    text = "\n".join(make_practices(runs, {}))
    assert "| 1 run of at least 10 epochs" in text


def test_measured_differences_are_written_in_points():
    text = "\n".join(make_practices([], make_measured()))
    assert "instead of one view | +0.70 (+0.60 to +0.80) |" in text
    assert "| `a` | 70.00 % | 71.00 % | 71.00 % | +0.70 (+0.60 to +0.80) | +0.20 (+0.10 to +0.30) |" in text
    # 240 of 300 alone are 80 %, 280 of 400 together 70 %
    assert "official majority rule | -10.00 (" in text


def test_the_section_is_written_between_its_marks_and_nothing_else_changes():
    once = insert_practices(PAGE, [], {})
    assert once.startswith(f"above\n{START}\n\n| practice |")
    assert once.endswith(f"{END}\nbelow\n")
    assert "old" not in once
    assert insert_practices(once, [], {}) == once
    for broken in ("", START, END, f"{END}\n{START}"):
        with pytest.raises(DataError, match="restore them"):
            insert_practices(broken, [], {})


def test_the_page_is_checked_and_updated_with_the_others(tmp_path, capsys):
    default = tmp_path / "src" / "mien" / "assets" / "default.json"
    default.parent.mkdir(parents=True)
    default.write_bytes((ROOT / "src" / "mien" / "assets" / "default.json").read_bytes())
    (tmp_path / AUDIT).parent.mkdir(parents=True)
    (tmp_path / AUDIT).write_text(PAGE)
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    capsys.readouterr()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "practices.json").write_text(json.dumps(make_measured()))
    assert main([str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().out == f"{AUDIT} is stale; run: python -m lab pages\n"


def test_committed_counts_belong_to_public_test():
    record = json.loads((ROOT / "results" / "practices.json").read_text())
    assert record["split"] == "validation"
    assert all(network["n"] == 3589 for network in record["networks"])
    votes = record["ferplus"]
    assert [votes[part]["n"] + votes[part]["left_out"] for part in ("official", "added")] == [3199, 380]
    assert all(math.isfinite(row["accuracy"]) for network in record["networks"] for row in network["differences"])
