from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.apps.plugin_files import load_plugin_files
from mien.core import plugins
from mien.core.errors import ModelError
from mien.core.types import Box, Detection
from mien.inference.detectors import registry, remove_duplicates, yunet
from mien.inference.detectors.haar import Haar
from mien.inference.detectors.mien import Mien
from mien.inference.detectors.none import WholeImage
from mien.inference.detectors.registry import create_detector, split_spec
from mien.inference.detectors.yunet import FILE_NAME, YuNet, cache_dir, find_weights


@pytest.fixture(autouse=True)
def _no_yunet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MIEN_YUNET", raising=False)


@pytest.mark.parametrize("enlarged", [1, 3])
def test_haar_finds_the_astronaut(astronaut: NDArray[np.uint8], enlarged: int) -> None:
    image = np.repeat(np.repeat(astronaut, enlarged, axis=0), enlarged, axis=1)
    (found,) = Haar().detect(image)
    assert found.box.centre == pytest.approx((enlarged * 223, enlarged * 118), abs=enlarged * 12)
    # YuNet's box there is 90 x 113
    assert (found.box.width, found.box.height) == pytest.approx((enlarged * 90, enlarged * 113), rel=0.15)
    assert 0 < found.score <= 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 2000, 3), (2000, 1, 3), (40, 40, 3)])
def test_haar_finds_nothing_in_black(shape: tuple[int, ...]) -> None:
    assert Haar().detect(np.zeros(shape, np.uint8)) == []


def test_haar_may_be_shared_between_threads(astronaut: NDArray[np.uint8]) -> None:
    detector = Haar()
    alone = detector.detect(astronaut)
    with ThreadPoolExecutor(3) as pool:
        assert all(found == alone for found in pool.map(detector.detect, [astronaut] * 6))


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((48, 48, 3), Box(0, 0, 48, 48)),
        ((20, 40, 3), Box(0, -10, 40, 40)),
        ((40, 20, 3), Box(-10, 0, 40, 40)),
    ],
)
def test_whole_image(shape: tuple[int, ...], box: Box) -> None:
    assert WholeImage().detect(np.zeros(shape, np.uint8)) == [Detection(box, 1.0)]


class FakeYuNet:
    """Fake of `cv2.FaceDetectorYN`: one face, at the middle of the input."""

    def __init__(self) -> None:
        self.size = (0, 0)
        self.seen: NDArray[np.uint8] | None = None

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802
        self.size = size

    def detect(self, image: NDArray[np.uint8]) -> tuple[int, NDArray[np.float32] | None]:
        self.seen = image
        assert self.size == (image.shape[1], image.shape[0])
        width, height = self.size
        row = [width / 4, height / 4, width / 2, height / 2, *range(10), 0.9]
        return 1, np.array([row], np.float32) if image.any() else None


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeYuNet:
    network = FakeYuNet()
    creator = SimpleNamespace(create=lambda *_: network)
    monkeypatch.setattr(yunet.cv2, "FaceDetectorYN", creator)
    cache_dir().mkdir()
    (cache_dir() / FILE_NAME).touch()
    return network


def test_yunet_boxes_and_landmarks_are_mapped_back(fake: FakeYuNet) -> None:
    image = np.zeros((800, 1280, 3), np.uint8)
    image[..., 0] = 200
    (found,) = YuNet().detect(image)
    assert fake.size == (640, 400)
    assert fake.seen is not None
    assert fake.seen[0, 0].tolist() == [0, 0, 200]  # B, G, R
    assert found.box == Box(320, 200, 640, 400)
    assert found.landmarks == ((0, 2), (4, 6), (8, 10), (12, 14), (16, 18))
    assert found.score == pytest.approx(0.9)


@pytest.mark.parametrize(("shape", "padded"), [((1, 300, 3), (300, 64)), ((100, 100, 3), (100, 100))])
def test_narrow_images_are_padded_and_black_ones_have_no_faces(
    fake: FakeYuNet, shape: tuple[int, ...], padded: tuple[int, int]
) -> None:
    assert YuNet().detect(np.zeros(shape, np.uint8)) == []
    assert fake.size == padded


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_another_file_or_network_is_refused(
    tmp_path: Path, tiny_model: Path, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(tiny_model.read_bytes() if content is None else content)
    with pytest.raises(ModelError, match=r"x\.onnx is not a YuNet model file"):
        create_detector(f"yunet:{path}")
    assert capfd.readouterr().err == ""


def test_where_yunet_is_searched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_weights() is None
    cache_dir().mkdir()
    fetched, named, given = cache_dir() / FILE_NAME, tmp_path / "named.onnx", tmp_path / "given.onnx"
    for path in (fetched, named, given):
        path.touch()
    assert find_weights() == fetched
    monkeypatch.setenv("MIEN_YUNET", str(named))
    assert find_weights() == named
    assert find_weights(given) == given
    with pytest.raises(ModelError, match="no such YuNet model file"):
        find_weights(tmp_path / "nosuch.onnx")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("MIEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "mien"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "mien"


def test_auto_is_miens_own_wherever_yunet_is(fake: FakeYuNet, capsys: pytest.CaptureFixture[str]) -> None:
    assert registry.table().loaders["auto"]() is registry.table().loaders["mien"]() is Mien
    assert [create_detector(name).name for name in ("haar", "none", "yunet")] == ["haar", "none", "yunet"]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_yunet_is_only_missing_where_it_is_asked_for() -> None:
    with pytest.raises(ModelError, match="mien fetch yunet"):
        create_detector("yunet")


def test_plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    point = SimpleNamespace(name="mine", value="mine:Mine", load=lambda: WholeImage)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == "mien.detectors" else [])
    assert isinstance(create_detector("mine"), WholeImage)
    with pytest.raises(ModelError, match=r"No detector named 'haarr'\. Did you mean 'haar'.*mine"):
        create_detector("haarr")


@pytest.mark.parametrize("form", ["yunet:{}", "{}"])
def test_a_model_file_may_be_named(fake: FakeYuNet, tmp_path: Path, form: str) -> None:
    path = tmp_path / "own.onnx"
    path.touch()
    detector = create_detector(form.format(path))
    assert isinstance(detector, YuNet)
    assert detector.weights == path
    assert create_detector(detector) is detector


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("haar:x.onnx", r"'haar' takes no model file, but got 'x\.onnx'"),
        ("yunet:missing.onnx", r"missing\.onnx: no such YuNet model file"),
        ("missing.onnx", r"missing\.onnx: no such model file"),
        ("mien:missing.onnx", r"missing\.onnx: no such model file"),
        ("missing.onnx@40", r"missing\.onnx: no such model file"),
        ("haarr:x.onnx", r"haarr:x\.onnx: no such"),
    ],
)
def test_a_model_file_that_is_of_no_use(spec: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        create_detector(spec)


@pytest.mark.parametrize("form", ["mien:{}", "{}", "{}@40", "mien:{}@40", "auto:{}@4e1"])
def test_an_own_model_file_may_be_named_with_a_smallest_face(tiny_detector: Path, form: str) -> None:
    detector = create_detector(form.format(tiny_detector))
    assert isinstance(detector, Mien)
    assert detector.weights == tiny_detector
    assert detector.smallest_face == (40 if "@" in form else 24)
    assert create_detector(tiny_detector).name == "mien"


def test_parts_of_a_specification(tmp_path: Path, tiny_detector: Path) -> None:
    assert split_spec("auto@16") == ("auto", "", 16)
    assert split_spec("mien@22.5") == ("mien", "", 22.5)
    assert split_spec("yunet:me@home.onnx") == ("yunet", "me@home.onnx", None)
    assert split_spec("mien:run@2/x.onnx@30") == ("mien", "run@2/x.onnx", 30)
    path = tmp_path / "own@2x.onnx"
    path.write_bytes(tiny_detector.read_bytes())
    assert split_spec(str(path)) == split_spec(path) == ("mien", str(path), None)
    assert split_spec(f"{path}@30") == ("mien", str(path), 30)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mien@", "'mien@' has no number above 0 after @"),
        ("mien@small", "'mien@small' has no number above 0 after @; expected the smallest face in pixels: @40"),
        ("auto@0", "no number above 0"),
        ("mien@-5", "no number above 0"),
        ("mien@nan", "no number above 0"),
        ("mien@inf", "no number above 0"),
        ("mien:x.onnx@0", "no number above 0"),
        ("haar@40", "'haar' has no smallest face to set, but got 'haar@40'; use --detector mien@PIXELS"),
        ("none@40", "'none' has no smallest face"),
        ("yunet:x.onnx@40", "'yunet' has no smallest face"),
        ("haarr@40", r"No detector named 'haarr'\. Did you mean 'haar'"),
    ],
)
def test_a_smallest_face_that_is_of_no_use(spec: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        create_detector(spec)
    assert "\n" not in str(caught.value)


def test_a_plug_in_may_take_a_smallest_face(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own:
        name = "own"

        def __init__(self, file: Path | None = None, *, smallest_face: float = 10) -> None:
            self.given = (file, smallest_face)

    point = SimpleNamespace(name="own", value="own:Own", load=lambda: Own)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == "mien.detectors" else [])
    assert create_detector("own@30").given == (None, 30)  # type: ignore[attr-defined]
    assert create_detector("own:a.bin@30").given == (Path("a.bin"), 30)  # type: ignore[attr-defined]


def test_a_plugin_file_brings_detectors_by_their_own_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "plugin_files", {})
    body = (
        "def __init__(self, weights=None):\n        self.weights = weights\n    def detect(self, _):\n        return []"
    )
    (tmp_path / "one.py").write_text(f"class Mine:\n    name = 'mine'\n    {body}\n")
    (tmp_path / "many.py").write_text(f"class A:\n    name = 'a'\n    {body}\nDETECTORS = {{'fast': A, 'exact': A}}\n")
    (tmp_path / "wrong.py").write_text("DETECTORS = ['fast']\n")
    added = load_plugin_files([tmp_path / "one.py", tmp_path / "many.py"])
    assert added == [("detector", "mine"), ("detector", "exact"), ("detector", "fast")]
    assert create_detector("mine:x.bin").weights == Path("x.bin")  # type: ignore[attr-defined]
    assert create_detector("fast").name == "a"
    with pytest.raises(ModelError, match=r"DETECTORS of .* must map names"):
        load_plugin_files([tmp_path / "wrong.py"])


def test_duplicates_go_and_the_best_stays() -> None:
    best = Detection(Box(0, 0, 100, 100), 0.9)
    inside = Detection(Box(20, 20, 50, 50), 0.95)
    shifted = Detection(Box(10, 10, 100, 100), 0.5)
    neighbour = Detection(Box(90, 0, 100, 100), 0.4)
    assert remove_duplicates([best, shifted, neighbour]) == [best, neighbour]
    assert remove_duplicates([best, inside]) == [inside]
    assert remove_duplicates([]) == []


def test_hundreds_of_faces_stay_and_empty_boxes_do_no_harm() -> None:
    faces = [Detection(Box(100 * x, 100 * y, 90, 110), (x + 20 * y) / 400) for x in range(20) for y in range(20)]
    empty = Detection(Box(5, 5, 0, 0), 0.2)
    assert len(remove_duplicates([*faces, *faces, empty])) == len(faces) + 1
