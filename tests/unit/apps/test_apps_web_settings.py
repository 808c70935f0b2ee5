"""A server's settings: safe addresses, host names, keys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tiny_detector import spots

from mien.apps.web import engine
from mien.apps.web.metrics import Metrics
from mien.apps.web.settings import LOOPBACK_NAMES, ServerSettings, read_key
from mien.core.errors import MienError, ModelError

KEY = "a-key-of-enough-characters"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8"])
def test_loopback_requires_no_key(host: str) -> None:
    assert ServerSettings(host=host).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "faces.example"])  # noqa: S104
def test_public_addresses_require_a_key_or_permission(host: str) -> None:
    with pytest.raises(MienError, match="--api-key-file"):
        ServerSettings(host=host)
    assert not ServerSettings(host=host, key=KEY).is_loopback
    assert not ServerSettings(host=host, allow_no_key=True).is_loopback


def test_allowed_hosts() -> None:
    assert "localhost" in ServerSettings().allowed_hosts
    assert ServerSettings(host="faces.example", key=KEY).allowed_hosts == ["*"]
    named = ServerSettings(host="faces.example", key=KEY, hosts=("faces.example",))
    assert named.allowed_hosts == ["faces.example", *LOOPBACK_NAMES]


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(ServerSettings(key=KEY))


def test_key_from_file_beats_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIEN_API_KEY", raising=False)
    assert read_key(None) is None
    monkeypatch.setenv("MIEN_API_KEY", "from-the-environment")
    file = tmp_path / "key"
    file.write_text(f"{KEY}\nmore\n")
    assert (read_key(None), read_key(file)) == ("from-the-environment", KEY)


@pytest.mark.parametrize("content", ["", "short", "ä" * 20])
def test_unusable_keys(content: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(MienError, match="no usable key"):
        read_key(file)
    with pytest.raises(MienError, match="cannot be read"):
        read_key(tmp_path / "absent")


def test_detectors_of_one_name_and_two_files_are_refused(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        name = "found"

        def __init__(self, spec: str) -> None:
            self.weights = spec

        def detect(self, image: object) -> list[object]:
            return []

    monkeypatch.setattr(engine, "create_detector", Found)
    settings = ServerSettings(models=(str(tiny_model),), detectors=("found:a.onnx", "found:b.onnx"))
    with pytest.raises(ModelError, match="Two detectors are named 'found'"):
        engine.Engine(settings, Metrics())


def test_one_detector_with_two_smallest_faces_is_refused(tiny_model: Path, tiny_detector: Path) -> None:
    detectors = (str(tiny_detector), f"{tiny_detector}@60")
    with pytest.raises(ModelError, match="Two detectors are named 'mien', with different settings"):
        engine.Engine(ServerSettings(models=(str(tiny_model),), detectors=detectors), Metrics())


def test_threads_share_a_concurrent_detector_and_answers_have_a_limited_number_of_faces(
    tiny_model: Path, tiny_detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAX_FACES", 2)
    made: list[str] = []
    create = engine.create_detector
    monkeypatch.setattr(engine, "create_detector", lambda spec: (made.append(spec), create(spec))[1])
    settings = ServerSettings(models=(str(tiny_model),), detectors=(f"{tiny_detector}@20", "none"))
    server = engine.Engine(settings, Metrics())
    assert server.detectors == ("mien", "none")
    image = spots((24, 24), (96, 64), (160, 120))
    image[64:72, 96:104] -= 3
    detect = server.recognizer(None, "mien").detect
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(detect, [image] * 3):
            assert sorted(round(one.box.centre[0]) for one in found) == [28, 164]
    server.close()
    assert made == list(settings.detectors)
