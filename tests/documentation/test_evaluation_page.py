"""The page on evaluation says what the robustness record says."""

import json
from pathlib import Path

from mien.evaluation.corruptions import CORRUPTIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
RECORD = json.loads((ROOT / "results/robustness.json").read_text(encoding="utf-8"))


def test_the_table_is_the_records():
    assert list(RECORD["corruptions"]) == list(CORRUPTIONS)
    for name, curve in RECORD["corruptions"].items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
        kept = [point["kept"] for point in curve["points"]] + [curve["kept"]]
        assert row.endswith(" | " + " | ".join(f"{100 * value:.1f}" for value in kept) + " |")
        assert [point["level"] for point in curve["points"]] == list(CORRUPTIONS[name].levels)
    assert f"{100 * RECORD['clean']['accuracy']:.2f} % clean" in PAGE
    assert f"{100 * RECORD['clean']['accuracy_without_duplicates']:.2f} % without twins" in PAGE
    assert f"The mean over all is {100 * RECORD['kept']:.1f} %" in PAGE


def test_the_record_is_of_the_shipped_model():
    scores = json.loads((ROOT / "src/mien/assets/default.json").read_text(encoding="utf-8"))["scores"]
    assert abs(RECORD["clean"]["accuracy"] - scores["accuracy"]) < 1e-4
    assert (RECORD["n"], RECORD["n_without_duplicates"]) == (scores["n"], scores["without_duplicates"]["n"])
