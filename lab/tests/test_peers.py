"""The comparison with other tools: its labels, scores, workers, and the page that follows from the record."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from lab import ROOT
from lab.benchmarks.scenes import find_middle, paste_each
from lab.pages import make_pages
from lab.peers import material, session
from lab.peers.command import open_record
from lab.peers.comparison import find_behind, is_ours
from lab.peers.labels import EXPRESSIONS, choose, number_labels
from lab.peers.measure import NO_ANSWER, score, score_found, time_face, try_wrong_inputs
from lab.peers.page import make_peers_page, make_summary
from lab.peers.plot import draw
from lab.peers.session import DiedError, HungError, Session
from lab.peers.setup import count_packages, count_plain
from lab.peers.speed_page import show_ratio
from lab.peers.tools import DOWNLOADED, HERE, OURS, Tool, ours
from mien.core.errors import DataError, MienError
from mien.core.types import Box

ADAPTERS = ROOT / "lab" / "peers" / "adapters"
HUMAN = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]

# A tool whose answer for a face is its mean grey, and which fails as real ones do.
TOY = """
import os, sys, time
class Tool:
    version = "1.0"
    labels = ("Happy", "sad", "anger", "Disgusted", "fearful", "surprised", "Neutral", "contempt")
    def __init__(self, options):
        print("noise on standard output")
        self.options = options
    def load(self, threads):
        self.threads = threads
    def crop(self, pixels, way):
        return None if pixels.max() == 0 else [float(pixels.mean())] + [0.5] * 7
    def image(self, path):
        if path.endswith("text.jpg"): raise ValueError("not an image")
        if path.endswith("huge.png"): os._exit(3)
        if path.endswith("empty.jpg"): time.sleep(60)
        return [{"box": [1, 2, 3, 4], "scores": [1.0] * 8}]
    def video(self, path):
        return [3, 3, 2]
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    adapters, folder = tmp_path / "adapters", tmp_path / "peers"
    adapters.mkdir()
    (folder / "toy").mkdir(parents=True)
    (adapters / "worker.py").write_bytes((ADAPTERS / "worker.py").read_bytes())
    (adapters / "toy_tool.py").write_text(TOY)
    monkeypatch.setattr(session, "ADAPTERS", adapters)
    monkeypatch.setattr(session, "FOLDER", folder)
    command = [sys.executable, str(adapters / "worker.py"), "toy_tool", "{}"]
    monkeypatch.setattr(session, "_command", lambda tool: command)
    return Tool(name=OURS, environment="toy", adapter="toy_tool", ways={"public": "", "best": ""})


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0]])
def test_labels_of_all_spellings_get_the_numbers_of_fer2013(order):
    names = [HUMAN[number] for number in order]
    assert number_labels(names) == order
    spelled = ["anger", "Disgusted", "FEAR", "Happiness", "sadness", "surprised", "Neutral"]
    assert number_labels([spelled[number] for number in order]) == order


def test_a_label_that_fer2013_lacks_is_left_out_and_unknown_or_missing_ones_are_errors():
    labels = ["Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise"]
    numbers = number_labels(labels)
    assert numbers == [0, None, 1, 2, 3, 6, 4, 5]
    assert choose([0.1, 0.8, 0, 0, 0, 0.05, 0.05, 0], numbers) == 0
    with pytest.raises(DataError, match="'bored' is unknown"):
        number_labels([*labels, "bored"])
    with pytest.raises(DataError, match="lack: surprise"):
        number_labels(labels[:-1])


def test_the_first_of_equal_scores_wins_and_no_score_is_no_answer():
    numbers = number_labels(HUMAN)
    assert choose([0, 0, 0.4, 0.4, 0, 0, 0.2], numbers) == 2
    assert choose(None, numbers) is None
    assert choose([0] * 7, numbers) is None


@pytest.mark.parametrize("file", sorted(ADAPTERS.glob("*_tool.py")), ids=lambda file: file.stem)
def test_labels_of_the_adapters_are_known(file):
    names = [line for line in file.read_text().splitlines() if line.strip().startswith("labels = (")]
    for line in names:
        number_labels(eval(line.partition("=")[2]))  # noqa: S307
    assert names or file.stem == "mien_tool", "mien's labels come from its model"


@pytest.mark.parametrize("tool", [*HERE, *DOWNLOADED], ids=lambda tool: tool.name)
def test_every_tool_has_an_adapter_versions_and_a_way_of_its_own(tool):
    suffix = ".mjs" if tool.runtime == "node" else ".py"
    assert (ADAPTERS / f"{tool.adapter}{suffix}").exists()
    assert next(iter(tool.ways)) == "public"
    versions = ADAPTERS.parent / "environments"
    assert (
        tool.environment == OURS
        or (versions / tool.environment).exists()
        or (versions / f"{tool.environment}.txt").exists()
    )


def test_versions_are_pinned():
    for file in (ADAPTERS.parent / "environments").glob("*.txt"):
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        assert all("==" in line for line in lines), file.name
    for file in (ADAPTERS.parent / "environments").glob("*/package.json"):
        assert all(version[0].isdigit() for version in json.loads(file.read_text())["dependencies"].values())
        assert "resolved" not in file.with_name("package-lock.json").read_text()


def test_models_of_ours_have_names_that_differ_and_are_ours():
    names = [ours().name, ours("default-int8").name, ours(views="flip").name, ours("runs/a/ferplus.onnx").name]
    assert names == ["mien", "mien, default-int8", "mien, flip", "mien, ferplus"]
    assert all(map(is_ours, names))
    assert not is_ours("mienlike")


def test_a_score_counts_missing_answers_as_wrong_and_leaves_out_duplicates():
    truth = np.array([0, 0, 3, 3, 3, 6])
    chosen = np.array([0, NO_ANSWER, 3, 3, 1, 6])
    part = score(chosen, truth, np.array([True, False, False, False, False, False]))
    assert (part["right"], part["n"], part["answered"]) == (4, 6, 5)
    assert part["mean_class_accuracy"] == pytest.approx((1 / 2 + 2 / 3 + 1) / 3, abs=1e-4)
    assert part["recall"] == {"angry": 0.5, "happy": 0.6667, "neutral": 1.0}
    assert part["without_duplicates"]["right"] == 3
    assert part["interval"][0] < part["accuracy"] < part["interval"][1]


def test_a_pasted_face_counts_as_found_by_a_box_near_the_middle(tmp_path):
    faces = np.full((2, 48, 48), 90, np.uint8)
    paths = []
    for number, image in enumerate(paste_each(faces)):
        paths.append(tmp_path / f"{number}.png")
        material.Image.fromarray(image).save(paths[-1])
    sides = [image.shape[0] // 2 for image in paste_each(faces)]
    happy = [0.0, 0, 0, 1, 0, 0, 0]
    found = [
        [{"box": [side // 2, side // 2, side, side], "scores": happy}, {"box": [0, 0, 9, 9], "scores": happy}]
        for side in sides[:1]
    ]
    part = score_found(paths, [*found, []], number_labels(HUMAN), np.array([3, 3]))
    assert (part["found"]["right"], part["right_among_found"]["right"], part["right_of_all"]["n"]) == (1, 1, 2)
    assert part["other_boxes"] == 1
    assert json.loads(json.dumps(part)) == part, "a record is JSON"
    assert find_middle(200, [Box(50, 50, 100, 100), Box(0, 0, 10, 10)]) == (100, [0])


def test_a_worker_answers_through_its_own_channel_and_says_what_failed(toy, tmp_path):
    faces = np.stack([np.zeros((48, 48), np.uint8), np.full((48, 48), 7, np.uint8)])
    file = tmp_path / "crops.raw"
    file.write_bytes(faces.tobytes())
    table = tmp_path / "table.csv"
    with Session(toy) as running:
        assert number_labels(running.labels) == [3, 4, 0, 1, 2, 5, 6, None]
        assert running.ask({"do": "crops", "file": str(file), "way": "public"})["scores"] == [None, [7.0] + [0.5] * 7]
        assert running.ask({"do": "time", "file": str(file), "count": 1, "way": "public"})["cpu_seconds"] >= 0
        assert running.ask({"do": "video", "path": "clip"})["counts"] == [3, 3, 2]
        assert running.ask({"do": "images", "paths": ["a.jpg"], "table": str(table)})["faces"][0][0]["box"] == [
            1,
            2,
            3,
            4,
        ]
        with pytest.raises(MienError, match="ValueError: not an image"):
            running.ask({"do": "images", "paths": ["text.jpg"]})
        assert running.ask({"do": "memory"})["mib"] > 1
    rows = table.read_text().splitlines()
    assert rows[0].startswith("image,x,y,width,height,Happy,")
    assert rows[1].startswith("a.jpg,1,2,3,4,1.0,")


def test_a_tool_that_ends_or_hangs_is_told_from_one_that_refuses(toy):
    with Session(toy) as running, pytest.raises(DiedError):
        running.ask({"do": "images", "paths": ["huge.png"]})
    with Session(toy) as running, pytest.raises(HungError):
        running.ask({"do": "images", "paths": ["empty.jpg"]}, seconds=0.2)
    files = {"not an image": Path("text.jpg"), "108 megapixels": Path("huge.png"), "grey image": Path("grey.png")}
    words = {kind: outcome["word"] for kind, outcome in try_wrong_inputs([toy], files)[OURS].items()}
    assert words == {"not an image": "refused", "108 megapixels": "died", "grey image": "face"}


def test_times_for_a_face_are_ratios_to_ours(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("lab.peers.measure.TURNS", 2)
    file = tmp_path / "crops.raw"
    file.write_bytes(np.zeros((40, 48, 48), np.uint8).tobytes())
    part = time_face([toy], file)[OURS]
    assert part["public"]["processor_ratio"] == 1
    assert part["best"]["processor_ratio"] > 0


def test_files_that_are_not_what_they_seem_are_what_their_names_say(tmp_path, monkeypatch):
    monkeypatch.setattr(material, "HUGE", (300, 200))
    files = material.write_wrong_inputs(tmp_path / "inputs")
    assert files["empty file"].stat().st_size == 0
    with material.Image.open(files["RGBA image"]) as rgba, material.Image.open(files["grey image"]) as grey:
        assert (rgba.mode, grey.mode) == ("RGBA", "L")
    with material.Image.open(files["16-bit grey image"]) as deep:
        assert deep.mode.startswith("I")
    with pytest.raises(OSError, match="truncated"), material.Image.open(files["truncated file"]) as broken:
        broken.load()


def test_an_ordinary_installation_is_read_from_what_pip_says():
    log = (
        "Downloading torch-2.2.2-cp311-x86_64.whl (755.6 MB)\n  Downloading a-1.0.tar.gz (400 kB)\n"
        "Downloading torch-2.2.2-cp311-x86_64.whl (755.6 MB)\nWould install a-1.0 torch-2.2.2\n"
    )
    assert count_plain(log) == {"packages": 2, "download_mb": 756, "notable": ["torch-2.2.2"]}
    parts = {"cv2": 5, "opencv.libs": 3, "opencv-4.dist-info": 1}
    assert (count_packages(parts, "python"), count_packages(parts, "node")) == (1, 3)


def test_a_new_measurement_forgets_the_old_one_unless_a_part_is_renewed(tmp_path):
    path = tmp_path / "peers.json"
    path.write_text(json.dumps({"parts": {"crops": {}}, "plain_install": {"fer": {"packages": 74}}}))
    kept, fresh = (open_record(path, keep=keep) for keep in (True, False))
    assert (kept["parts"], fresh["parts"]) == ({"crops": {}}, {})
    assert kept["plain_install"] == fresh["plain_install"] == {"fer": {"packages": 74}}
    assert open_record(tmp_path / "none.json", keep=True)["machine"]["cores"] >= 1


@pytest.fixture(scope="module")
def record():
    return json.loads((ROOT / "results" / "peers.json").read_text(encoding="utf-8"))


def test_the_page_has_a_row_of_every_tool_in_every_table_and_every_skipped_one(record):
    page = make_peers_page(record)
    assert make_pages(ROOT)["peers.md"] == page
    for name in record["tools"]:
        assert page.count(f"| {name} |") >= 6, name
    assert all(f"**{name}**: " in page for name in record["skipped"])
    for ways in record["parts"]["crops"].values():
        assert all(f"{100 * scored['accuracy']:.1f} % (" in page for scored in ways.values())


def test_what_is_measured_belongs_to_public_test(record):
    assert (record["dataset"], record["split"]) == ("fer2013", "validation")
    for ways in record["parts"]["crops"].values():
        assert all(scored["n"] == 3589 for scored in ways.values())
        assert all(set(scored["recall"]) == set(EXPRESSIONS) for scored in ways.values())


def test_our_accuracy_is_that_of_the_shipped_record(record):
    shipped = json.loads((ROOT / "src/mien/assets/default.json").read_text())["scores"]
    assert record["parts"]["crops"][OURS]["public"]["accuracy"] == pytest.approx(shipped["accuracy"], abs=3e-4)


def test_the_readme_has_the_figures_of_the_record(record):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = make_summary(record["parts"], record["tools"])
    shown = [row for row in rows if f"| {' | '.join(row)} |" in readme]
    assert {row[0].split()[0] for row in shown} >= {"mien", "fer", "face-api", "human"}
    named = [line for line in readme.splitlines() if line.startswith(("| mien", "| fer", "| face-api", "| human"))]
    assert len(shown) == len(named) <= 5


def test_what_another_tool_does_better_is_named(record):
    changed = json.loads(json.dumps(record))
    other = next(name for name in changed["tools"] if not is_ours(name))
    changed["parts"]["start"][other]["peak_mib"] = changed["parts"]["start"][OURS]["peak_mib"] / 4
    changed["parts"]["crops"][other]["public"] |= {"accuracy": 0.99, "interval": [0.98, 1.0]}
    lines = find_behind(changed)
    assert any(line.startswith(f"peak memory: {other} needs 0.25 of") for line in lines)
    assert any(line.startswith(f"accuracy on crops (its public way): {other} 99.0 %, mien ") for line in lines)
    slower = json.loads(json.dumps(changed))
    slower["parts"]["start"][other]["peak_mib"] *= 100
    assert not any(line.startswith(f"peak memory: {other} ") for line in find_behind(slower))


def test_the_figure_is_drawn_from_the_record(record, tmp_path):
    draw(record, tmp_path / "peers.png")
    with material.Image.open(tmp_path / "peers.png") as image:
        assert image.width > image.height > 300


def test_ratios_are_short():
    assert [show_ratio(value) for value in (0.254, 1.0, 12.34)] == ["0.25", "1.00", "12"]


def test_the_worker_in_node_takes_the_same_requests():
    sys.path.insert(0, str(ADAPTERS))
    try:
        worker = importlib.import_module("worker")
    finally:
        sys.path.remove(str(ADAPTERS))
    kinds = {name.removeprefix("do_") for name in vars(worker) if name.startswith("do_")}
    text = (ADAPTERS / "worker.mjs").read_text()
    assert kinds == {kind for kind in kinds if f"async {kind}(" in text}
    assert len(kinds) == 6
