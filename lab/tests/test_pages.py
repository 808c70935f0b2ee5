"""The pages of docs/results follow from the records, and hold no figure that no record has."""

import dataclasses
import json
import re
from pathlib import Path

import onnx
import pytest
from onnx import helper
from tiny_model import tiny_card, tiny_network

from lab import ROOT
from lab.pages import FOLDER, main, make_pages
from mien.core.card import METADATA_KEY
from mien.core.errors import MienError
from mien.evaluation.report.runs import read_json
from mien.evaluation.reported import DATASETS, PAPERS
from mien.inference.model import OnnxModel
from mien.recipes import Recipe, load_recipe

SHORT = ["network.input_size=64", "schedule.epochs=20", "optimizer.lr=1e-3"]


@pytest.fixture
def checkout(tmp_path):
    default = Path("src") / "mien" / "assets" / "default.json"
    (tmp_path / default.parent).mkdir(parents=True)
    (tmp_path / default).write_bytes((ROOT / default).read_bytes())
    return tmp_path


def add_run(checkout, folder, recipe, accuracy, name=""):
    content = {
        "name": name or recipe.name,
        "recipe": recipe.model_dump(),
        "data": {},
        "parameters": 11_174_539,
        "macs": 71_204_000,
        "finished": True,
        "minutes": 5.0,
        "curves": [],
        "hardware": {"processor": "Z80", "accelerator": "cpu"},
        "selection": {"rule": "best epoch on validation accuracy", "epoch": 3},
        "scores": {"split": "validation", "accuracy": accuracy, "mean_class_accuracy": accuracy, "macro_f1": accuracy},
    }
    path = checkout / "results" / "runs" / folder / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_seeds_are_averaged_and_other_runs_listed(checkout):
    def page():
        return make_pages(checkout)["default.md"]

    assert "## Seeds" not in page()
    for seed, accuracy in ((0, 0.6971), (1, 0.6871), (2, 0.6771)):
        recipe = load_recipe(
            "default", [f"training.seed={seed}", "training.threads=1", "loss.options.label_smoothing=0.1"]
        )
        add_run(checkout, f"seed{seed}", recipe, accuracy)
    recipe = load_recipe("default", ["network.options.width=20"])
    add_run(checkout, "narrow", recipe, 0.5, name="default/fer2013-narrow")
    text = page()
    seeds = text[text.index("## Seeds") : text.index("## Other runs")]
    assert "default/fer2013; changed: loss.options.label_smoothing 0.1 (0.05)" in seeds
    assert all(f"| {seed} | {69.71 - seed:.2f} % |" in seeds for seed in range(3))
    assert "| 3 seeds | 68.71 ± 1.00 % |" in seeds
    assert "(shipped)" not in seeds
    (line,) = [line for line in text.splitlines() if "default/fer2013-narrow" in line]
    assert "50.00 %" in line
    assert "changed: network.options.width 20 (32)" in line
    assert "label_smoothing" not in text[text.index("## Other runs") :]


def test_another_seed_of_the_shipped_run_is_shown_with_it(checkout):
    shipped = read_json(checkout / "src" / "mien" / "assets" / "default.json")
    recipe = Recipe.model_validate(shipped["recipe"])
    other = recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": 7})})
    add_run(checkout, "seed7", other, 0.5)
    text = make_pages(checkout)["default.md"]
    assert f"| 0 (shipped) | {100 * shipped['scores']['accuracy']:.2f} % |" in text
    assert "| 7 | 50.00 % |" in text


def test_files_of_weights_are_listed_with_their_own_scores(checkout):
    recipe = load_recipe("spayolo/fer2013", ["schedule.epochs=20", 'name="spayolo/fer2013-short"'])
    scores = {
        "accuracy": 0.6512,
        "mean_class_accuracy": 0.5,
        "without_duplicates": {"accuracy": 0.64},
        "weights": {"bits": 8, "accuracy_loss": 0.0011},
    }
    card = dataclasses.replace(tiny_card(), name=recipe.name, recipe=recipe.model_dump(), scores=scores)
    file = checkout / "weights" / "spayolo.onnx"
    network = tiny_network()
    helper.set_model_props(network, {METADATA_KEY: card.to_json()})
    onnx.save(network, make_parent(file))
    with pytest.raises(MienError, match=re.escape(f"{file} is of {recipe.name}, and no committed run record has")):
        make_pages(checkout)
    add_run(checkout, "spayolo-fer2013-short-seed0", recipe, 0.6523)
    (line,) = [line for line in make_pages(checkout)["weights.md"].splitlines() if line.startswith("| spayolo |")]
    assert "| 11,174,539 | 71.2 | 65.12 % | 64.00 % | 50.00 % | 0.11 points |" in line
    assert "(../../results/runs/spayolo-fer2013-short-seed0/record.json); shortened: 20 of 200 epochs |" in line


@pytest.mark.parametrize("file", sorted((ROOT / "weights").glob("*.onnx")), ids=lambda file: file.stem)
def test_trained_networks_are_used_by_name_and_say_what_8_bits_cost(file):
    card = OnnxModel.load(file.stem).card
    assert card.network == file.stem
    assert card.scores["weights"]["bits"] == 8
    assert abs(card.scores["weights"]["accuracy_loss"]) < 0.005
    assert sum(each.stat().st_size for each in file.parent.glob("*.onnx")) <= 12_000_000


def test_the_index_names_every_page():
    index = (ROOT / FOLDER / "README.md").read_text(encoding="utf-8")
    for name in make_pages(ROOT):
        assert f"({name})" in index


def test_without_runs_no_page_has_a_figure_of_ours(checkout):
    pages = make_pages(checkout)
    assert set(pages) == {f"{paper}.md" for paper in PAPERS} | {"default.md"}
    for paper in PAPERS:
        for line in pages[f"{paper}.md"].splitlines():
            if line.count("|") == 8 and line.split("|")[3].strip() in DATASETS.values() and "not run" in line:
                assert line.split("|")[5:7] == [" - ", " - "], line
        assert "No run of its recipes is committed." in pages[f"{paper}.md"]
        assert "| A |" not in pages[f"{paper}.md"]
    assert "| AffectNet-7 | as above | - | - | not run: licence-gated |" in pages["spayolo.md"]
    assert pages["default.md"].count("Not run.") == 4


def test_runs_are_shown_beside_their_figures(checkout):
    for seed, accuracy in enumerate((0.60, 0.62)):
        recipe = load_recipe("hfc/fer2013", [f"training.seed={seed}"])
        add_run(checkout, f"hfc-fer2013-seed{seed}", recipe, accuracy)
    page = make_pages(checkout)["hfc.md"]
    assert "| ResNet18 + Ours | Average | FER2013 | 60.43 | 61.00 ± 1.41 | +0.57 | A |" in page
    assert "- A: hfc/fer2013; 2 runs (seed 0, 1); official, scored on validation; best epoch on validation" in page
    assert "[hfc-fer2013-seed1](../../results/runs/hfc-fer2013-seed1/record.json)" in page


def test_runs_of_experiments_count_too_but_copies_are_an_error(checkout):
    path = add_run(checkout, "hfc-fer2013-seed0", load_recipe("hfc/fer2013"), 0.60)
    other = checkout / "results" / "hfc-fer2013" / "hfc-fer2013-seed1"
    add_run(checkout, "moved", load_recipe("hfc/fer2013", ["training.seed=1"]), 0.62).parent.rename(make_parent(other))
    page = make_pages(checkout)["hfc.md"]
    assert "2 runs (seed 0, 1)" in page
    assert "[hfc-fer2013-seed1](../../results/hfc-fer2013/hfc-fer2013-seed1/record.json)" in page
    copy = make_parent(checkout / "results" / "hfc-fer2013" / "copy" / "record.json")
    copy.write_bytes(path.read_bytes())
    with pytest.raises(MienError, match=re.escape(f"{path} is a copy of {copy}; remove one of them.")):
        make_pages(checkout)


def make_parent(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_shortened_runs_have_no_difference(checkout):
    recipe = load_recipe("hfc/fer2013", [*SHORT, 'name="hfc/fer2013-short"'])
    add_run(checkout, "hfc-fer2013-short-seed0", recipe, 0.5)
    page = make_pages(checkout)["hfc.md"]
    assert "| ResNet18 + Ours | Average | FER2013 | 60.43 | 50.00 | shortened | A |" in page
    assert "| ResNet18 + Ours | Param. | FER2013 | 11.17 M | 11,174,539 | +4,539 | A |" in page
    assert "shortened: 20 of 100 epochs, 64 of 224 pixels; changed: optimizer.lr 0.001 (0.0001)" in page


def test_a_paper_without_figures_shows_its_runs(checkout):
    add_run(checkout, "despam-fer2013-cbam-seed0", load_recipe("despam/fer2013", ablation="cbam"), 0.6)
    page = make_pages(checkout)["despam.md"]
    assert "gives no figures" in page
    assert "| despam/fer2013 cbam | 60.00 % |" in page


def test_runs_of_the_default_recipe_on_other_data_are_on_its_page(checkout):
    recipe = load_recipe("default", ["data.dataset=ferplus", 'name="default/ferplus"'])
    add_run(checkout, "default-ferplus-seed0", recipe, 0.875)
    line = "| default/ferplus | 0 | ferplus | 11,174,539 | 71.2 | 87.50 % | - | 87.50 % |"
    assert line in make_pages(checkout)["default.md"]


def test_hostile_names_stay_text(checkout):
    add_run(checkout, "evil", load_recipe("hfc/fer2013"), 0.5, name="<script>|\n## Table 9")
    page = make_pages(checkout)["hfc.md"]
    assert "<script>" not in page
    assert "\n## Table 9" not in page


def test_further_measurements_are_shown_if_there_are_any(checkout):
    for name in ("robustness.json", "groups.json", "latency.json", "memory.json"):
        make_parent(checkout / "results" / name).write_bytes((ROOT / "results" / name).read_bytes())
    page = make_pages(checkout)["default.md"]
    record = read_json(ROOT / "results" / "robustness.json")
    curve = record["corruptions"]["low_light"]
    shown = " | ".join(f"{100 * point['accuracy']:.1f} %" for point in curve["points"])
    assert f"| low light | {100 * curve['kept']:.1f} % | {shown} |" in page
    group = read_json(ROOT / "results" / "groups.json")["columns"]["brightness"]["groups"]
    assert all(f"| brightness | {name} | {row['n']} |" in page for name, row in group.items())
    assert f"1/{read_json(ROOT / 'results' / 'latency.json')['ratio']:.1f} of" in page
    peak = read_json(ROOT / "results" / "memory.json")["models"][0]
    assert f"{peak['mib']:.1f} MiB | {peak['ratio']:.1f} |" in page
    assert "Not run." not in page


def test_writing_is_repeatable_and_says_what_changed(checkout, capsys):
    assert main([str(checkout)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert main([str(checkout)]) == 0
    assert main([str(checkout), "--check"]) == 0
    assert capsys.readouterr().out == ""
    written = {path.relative_to(checkout / FOLDER).as_posix() for path in (checkout / FOLDER).iterdir()}
    assert written == set(make_pages(checkout))


def test_check_names_stale_pages_and_writes_nothing(checkout, capsys):
    main([str(checkout)])
    page = checkout / FOLDER / "hfc.md"
    page.write_text("old")
    capsys.readouterr()
    assert main([str(checkout), "--check"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert "hfc.md" in line
    assert page.read_text() == "old"


def test_a_broken_record_is_one_line_and_exit_code_1(checkout, capsys):
    path = add_run(checkout, "hfc-fer2013-seed0", load_recipe("hfc/fer2013"), 0.6)
    path.write_text("{")
    with pytest.raises(MienError, match=re.escape(str(path))):
        make_pages(checkout)
    assert main([str(checkout)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (checkout / FOLDER).exists()
