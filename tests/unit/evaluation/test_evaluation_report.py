"""The report as text: escaping, reported figures, figures of runs, and folders with foreign files."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_predictions import make_predictions
from PIL import Image
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.apps.report import embed_features
from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS
from mien.data.options import LoadOptions
from mien.data.registry import load
from mien.evaluation.report import efficiency
from mien.evaluation.report.charts import save_curves, save_scores
from mien.evaluation.report.groups import group_runs, mean_and_deviation
from mien.evaluation.report.markup import VOID, Markup, element, escape
from mien.evaluation.report.mistakes import confident_mistakes, find_faces
from mien.evaluation.report.page import write_report
from mien.evaluation.report.runs import read_runs
from mien.evaluation.scores import score

EVIL = "\"><script>alert('x')</script>"
MODEL = {"network": "spayolo/fer2013", "input": [1, 3, 224, 224]}


def predict(accuracy=0.6, n=140, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 7
    classes = np.where(random.random(n) < accuracy, labels, (labels + 1) % 7)
    return make_predictions(0.02 + 0.86 * np.eye(7)[classes], labels, rows=np.arange(n) + 1000)


def make_record(name="spayolo/fer2013", ablation="", seed=0, accuracy=0.6):
    return {
        "name": name,
        "recipe": {
            "name": name, "paper": "spayolo", "ablation": ablation, "data": {"dataset": "fer2013"},
            "network": {"name": "spayolo", "input_size": 224, "channels": 3}, "schedule": {"epochs": 3},
            "training": {"seed": seed},
        },
        "data": {"name": "fer2013"},
        "labels": list(FER2013_LABELS.names),
        "parameters": 5745639,
        "minutes": 1.5,
        "commit": "0123456789abcdef",
        "hardware": {"processor": "a processor", "accelerator": "cpu"},
        "finished": True,
        "selection": {"rule": "best epoch on validation accuracy", "epoch": 2},
        "curves": [{"epoch": e, "train_loss": 2.0 - e / 4, "validation_accuracy": 0.3 + e / 10} for e in range(3)],
        "scores": score(predict(accuracy, seed=seed)),
    }  # fmt: skip


def make_robustness(name):
    shares = {"accuracy": 0.2, "mean_class_accuracy": 0.2, "accuracy_without_duplicates": None}
    points = [{"severity": severity, "level": 1.0, **shares, "kept": 0.25} for severity in range(1, 6)]
    return {
        "model": name, "dataset": "fer2013", "split": "validation", "fingerprint": "", "selection": "", "n": 9,
        "n_without_duplicates": 0, "image_size": [48, 48], "seed": 0,
        "clean": {"severity": 0, "level": 0.0, **shares, "kept": 1.0},
        "corruptions": {name: {"unit": "", "points": points, "kept": 0.25}}, "kept": 0.25,
    }  # fmt: skip


def put(folder: Path, record, predictions=None) -> Path:
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    if predictions is not None:
        predictions.save(folder / "predictions.npz")
    return folder


def build(results, out):
    lines = []
    path = write_report(results, out, None, embed_features, lines.append)
    return path.read_text(encoding="utf-8"), lines


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results" / "runs"
    for seed in (0, 1):
        put(folder / f"a-seed{seed}", make_record(seed=seed), predict(seed=seed))
    return folder.parent


class Outline(HTMLParser):
    """Collects elements, ids and addresses, and checks that every element is closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.addresses, self.ids, self.attributes = [], [], [], [], set()
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {key for key, _ in attrs}
        self.addresses += [value for key, value in attrs if key in ("src", "href")]
        self.ids += [value for key, value in attrs if key == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_text_is_escaped_and_markup_is_not():
    assert element("p", EVIL, title=EVIL).count("<script") == 0
    assert escape(Markup("<b>")) == "<b>"
    assert element("p", element("b", "a & b"), class_="x", aria_label="y") == (
        '<p class="x" aria-label="y"><b>a &amp; b</b></p>'
    )
    assert escape("a\x00b\ud800\x9f") == "a\ufffdb\ufffd\ufffd"


def test_page_loads_nothing_is_well_formed_and_repeatable(results, tmp_path):
    page, lines = build(results, tmp_path / "out")
    outline = Outline(page)
    assert lines == []
    assert outline.addresses
    assert all(address.startswith(("data:", "#")) for address in outline.addresses)
    assert {address[1:] for address in outline.addresses if address.startswith("#")} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))
    assert not {"script", "iframe", "form"} & set(outline.tags)
    assert not re.search(r"url\((?!#)|@import", page)
    assert "default-src &#x27;none&#x27;; style-src &#x27;unsafe-inline&#x27;; img-src data:" in page
    assert build(results, tmp_path / "again")[0] == page
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]


def test_summary_has_reported_ours_and_conditions(results, tmp_path):
    page, _ = build(results, tmp_path / "out")
    values = [run.number("scores.accuracy") for run in read_runs(results, print)]
    row = re.search("<tbody><tr>.*?</tr>", page)[0]
    for words in (">70.74</td>", f">{mean_and_deviation(values)}</td>", "shortened: 3 of 200 epochs", "not comparable",
                  "official", "best epoch on validation accuracy", "a processor"):  # fmt: skip
        assert words in row


def test_hostile_names_stay_text(tmp_path):
    record = make_record(name=EVIL, ablation=EVIL)
    record["hardware"]["processor"] = record["selection"]["rule"] = record["commit"] = EVIL
    record["recipe"]["data"]["dataset"] = record["recipe"]["network"]["name"] = EVIL
    record["scores"]["labels"] = [EVIL, *record["scores"]["labels"][1:]]
    record["scores"]["per_class"][EVIL] = {"recall": 0.5}
    put(tmp_path / "results" / "x", record)
    put(tmp_path / "results" / "y", make_record())
    (tmp_path / "results" / "y" / "robustness.json").write_text(json.dumps(make_robustness(EVIL)))
    page, _ = build(tmp_path / "results", tmp_path / "out")
    outline = Outline(page)
    assert "script" not in outline.tags
    assert not {name for name in outline.attributes if name.startswith("on")}
    assert page.count("&lt;script&gt;") >= 5


def test_foreign_files_are_named_in_one_line_and_left_out(results, tmp_path):
    strange = {
        "no-json": b"{", "list": b"[]", "empty": b"", "deep": b"[" * 100_000, "half": b'{"name": 3}',
        "parts": json.dumps({**make_record(), "recipe": {"data": {"shares": 5}}}).encode(), "binary": b"\xff\xfe\x00",
    }  # fmt: skip
    for name, content in strange.items():
        (results / name).mkdir()
        (results / name / "record.json").write_bytes(content)
    beside = ["a-seed0/predictions.npz", "a-seed0/features.npz", "a-seed1/robustness.json"]
    for name in beside:
        (results / "runs" / name).write_bytes(b"PK nonsense")
    page, lines = build(results, tmp_path / "out")
    assert len(lines) == len(strange) + len(beside)
    assert all("\n" not in line for line in lines)
    for name in (*(f"{name}/record.json" for name in strange), *beside):
        assert sum(name in line for line in lines) == 1
    assert "Runs: 2;" in page


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("curves", [None, {"epoch": "x"}, {"epoch": 1, "train_loss": float("nan")}, {"epoch": 10**400}]),
        ("scores", {"accuracy": float("nan"), "confusion": [[1]], "labels": ["a", "b"], "per_class": [1]}),
        ("scores", {"accuracy": 0.5, "confusion": [[1, -2], [3, 4.5]], "labels": ["a", "b"]}),
        ("hardware", "none"),
        ("selection", 5),
        ("parameters", 10**400),
    ],
)
def test_odd_values_cost_a_figure_and_not_the_page(tmp_path, path, value):
    put(tmp_path / "results" / "x", {**make_record(), path: value})
    page, _ = build(tmp_path / "results", tmp_path / "out")
    Outline(page)
    assert not re.search(r' (d|x|y)="[^"]*nan', page)


def test_empty_and_missing_folders_are_errors(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        done = CliRunner().invoke(app, ["report", str(tmp_path / name), "-o", str(tmp_path / "out")])
        assert isinstance(done.exception, DataError)
        assert "No run record (record.json) in" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_only_runs_with_the_same_settings_are_averaged(tmp_path):
    half = make_record()
    half["recipe"]["network"]["input_size"] = 112
    faster = make_record(seed=1)
    faster["recipe"]["optimizer"] = {"lr": 0.5}
    own = make_record(name="my/own", seed=2)
    own["recipe"]["paper"] = ""
    changed = copy.deepcopy(own)
    changed["recipe"]["loss"] = {"name": "total"}
    records = (make_record(), make_record(seed=1), make_record(ablation="baseline"), half, faster, own, changed)
    for i, record in enumerate(records):
        put(tmp_path / str(i), record)
    groups = group_runs(read_runs(tmp_path, print))
    assert [len(group.runs) for group in groups] == [2, 1, 1, 1, 1, 1]
    confusion = sum(np.array(run.record["scores"]["confusion"]) for run in groups[0].runs)
    assert (groups[0].confusion() == confusion).all()


def test_runs_are_found_at_any_depth_and_a_copy_counts_once(results, tmp_path):
    put(results / "spayolo-fer2013" / "b" / "a-seed2", make_record(seed=2))
    put(results / "copies" / "a-seed0", make_record(seed=0))
    page, lines = build(results, tmp_path / "out")
    assert "Runs: 3; recipes, ablations and protocols: 1;" in page
    first, second = (results / folder / "a-seed0" / "record.json" for folder in ("copies", "runs"))
    assert lines == [f"left out: {second} is a copy of {first}; remove one of them."]


@pytest.mark.parametrize(("size", "ablation"), [(112, ""), (224, "baseline")])
def test_a_footprint_belongs_to_the_measured_network_only(tmp_path, size, ablation):
    record = make_record(ablation=ablation)
    record["recipe"]["network"]["input_size"] = size
    put(tmp_path / "results" / "x", record)
    (tmp_path / "results" / "memory.json").write_text(json.dumps({"models": [{**MODEL, "mib": 37.5, "ratio": 5.4}]}))
    page = build(tmp_path / "results", tmp_path / "out")[0]
    (row,) = (row for row in re.findall("<tr>.*?</tr>", page) if "37.5" in row)
    assert "spayolo/fer2013, no run here" in row


def test_measurements_without_a_run_are_read(results, tmp_path):
    (results / "latency.json").write_text(json.dumps({"model": MODEL, "ratio": 19.62}))
    (results / "robustness.json").write_text(json.dumps(make_robustness("low_light")))
    (results / "deeper").mkdir()
    models = [{**MODEL, "mib": 37.46, "ratio": 5.39}, None, {"mib": "much", "input": 3}]
    (results / "deeper" / "memory.json").write_text(json.dumps({"models": models}))
    page, _ = build(results, tmp_path / "out")
    for words in (">19.6</td>", ">37.5 (5.4)</td>", "low light: 25.0 % kept"):
        assert words in page


def test_a_shortened_run_has_a_remark_without_a_reported_figure_too(tmp_path):
    record = make_record(name="despam/fer2013")
    record["recipe"]["paper"] = "despam"
    put(tmp_path / "results" / "x", record)
    row = re.search("<tbody><tr>.*?</tr>", build(tmp_path / "results", tmp_path / "out")[0])[0]
    assert "shortened: 3 of 100 epochs" in row
    points = efficiency.own_points(group_runs(read_runs(tmp_path / "results", print)))
    assert [point.name for point in points] == ["despam/fer2013, shortened"]


def test_confident_mistakes_are_wrong_and_in_order():
    predictions = predict()
    wrong = np.flatnonzero(predictions.probabilities.argmax(axis=1) != predictions.labels)
    probabilities = predictions.probabilities.copy()
    probabilities[wrong[3], probabilities[wrong[3]].argmax()] = 0.8801
    changed = replace(predictions, probabilities=probabilities)
    assert confident_mistakes(changed)[:5].tolist() == [wrong[3], *wrong[[0, 1, 2, 4]]]
    assert confident_mistakes(changed, smallest=0.88005).tolist() == [wrong[3]]


def test_faces_come_only_from_the_data_set_that_was_predicted(tmp_path):
    dataset = load("synthetic", None, LoadOptions(image_size=48, channels=1))
    rows = np.flatnonzero(dataset.splits == "validation")
    for shift, expected in ((0, True), (-int(rows[0]), True), (-1, False)):
        predictions = make_predictions(
            np.eye(7)[(dataset.labels[rows] + 1) % 7], dataset.labels[rows], dataset.label_set.names,
            dataset="synthetic", fingerprint=dataset.subset(rows).fingerprint, rows=rows + shift,
        )  # fmt: skip
        record = make_record()
        record["recipe"]["network"].update(input_size=48, channels=1)
        run = read_runs(put(tmp_path / f"run{shift}", record, predictions), print)[0]
        lines = []
        faces = find_faces(run, np.array([2, 0]), tmp_path, lines.append)
        assert (faces is not None) == expected
        assert bool(lines) != expected
        if expected:
            assert (faces == dataset.images[rows[[2, 0]]]).all()


@pytest.mark.parametrize("n", [7, 140])
def test_charts_fill_their_image_with_few_faces_too(tmp_path, n):
    save_scores(predict(n=n), tmp_path / "scores.png")
    curves = [{"epoch": e, "train_loss": 1, "validation_loss": 1, "validation_accuracy": 0.5} for e in range(2)]
    save_curves(curves, tmp_path / "curves.png", before=0.7)
    for name in ("scores.png", "curves.png"):
        with Image.open(tmp_path / name) as image:
            has_ink = (np.asarray(image.convert("L")) < 250).any(axis=0)
        assert has_ink.mean() > 0.7


def test_quadrants_are_named_by_the_planes_axes():
    points = {
        "IV UAR": (80.24e6, 69.02),
        "III UER": (25e6, 69.74),
        "I OER": (35e6, 71.74),
        "on an axis": (5.7e6, 70.74),
    }
    for name, (parameters, accuracy) in points.items():
        point = efficiency.PlanePoint("one of ours", parameters, accuracy)
        assert point.quadrant == name
        assert f"{name}</td>" in efficiency.quality_plane([], [point])


def test_embedding_is_repeatable_and_takes_few_or_equal_features():
    features = np.random.default_rng(0).normal(size=(24, 5)).astype(np.float32)
    assert np.array_equal(embed_features(features), embed_features(features))
    assert embed_features(np.ones((12, 5), dtype=np.float32)).shape == (12, 2)
    assert embed_features(features[:, :1]).shape == (24, 2)
