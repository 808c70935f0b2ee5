"""The server of the page that recognizes on the device; the page itself is in tests/integration/test_on_device.py."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from mien.apps.cli import main
from mien.apps.web import on_device
from mien.apps.web.settings import ServerSettings
from mien.core.errors import MienError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like the built page."""
    (tmp_path / "static").mkdir()
    for name, content in {
        "index.html": "<!doctype html>",
        "service-worker.js": "",
        "manifest.webmanifest": "{}",
    }.items():
        (tmp_path / name).write_text(content)
    for name in ("app.js", "ort.mjs", "ort.wasm"):
        (tmp_path / "static" / name).write_text("")
    return tmp_path


def get(folder: Path, path: str, **headers: str) -> httpx.Response:
    app = on_device.create_page(folder, ServerSettings(allow_no_key=True))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


def test_the_page_may_use_threads_and_connect_only_to_itself(folder: Path) -> None:
    answer = get(folder, "/")
    assert answer.status_code == 200
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["connect-src"] == policy["worker-src"] == "'self'"
    assert policy["default-src"] == "'none'"
    assert "unsafe-inline" not in policy["script-src"]
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/static/app.js", "text/javascript"),
        ("/static/ort.mjs", "text/javascript"),
        ("/static/ort.wasm", "application/wasm"),
        ("/manifest.webmanifest", "application/manifest+json"),
    ],
)
def test_files_have_the_types_that_browsers_expect(folder: Path, path: str, kind: str) -> None:
    assert get(folder, path).headers["Content-Type"].split(";")[0] == kind


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/recognize", "/docs", "/openapi.json", "/metrics", "/../pyproject.toml"]
)
def test_there_is_no_api_and_nothing_outside_the_folder(folder: Path, path: str) -> None:
    assert get(folder, path).status_code == 404


def test_unchanged_files_are_not_sent_again(folder: Path) -> None:
    tag = get(folder, "/static/app.js").headers["ETag"]
    assert get(folder, "/static/app.js", **{"If-None-Match": tag}).status_code == 304


def test_another_host_name_is_refused(folder: Path) -> None:
    assert get(folder, "/", Host="example.org").status_code == 400


def test_a_page_that_is_not_built_says_what_to_build(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"has no built page; build it with `make browser`"):
        on_device.find_page(tmp_path)


def test_an_installed_package_says_that_it_has_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib" / "mien"
    package.mkdir(parents=True)
    monkeypatch.setattr(on_device.resources, "files", lambda _: package)
    with pytest.raises(MienError, match=r"An installed mien has no page .*`make browser`.*--page DIR"):
        on_device.find_page()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--page", "EMPTY"], "has no built page; build it with `make browser`"),
        (["--on-device", "--model", "default"], "leave out --model and --detector"),
    ],
)
def test_the_command_says_what_is_wrong(
    words: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(tmp_path) if word == "EMPTY" else word for word in words]
    monkeypatch.setattr(sys, "argv", ["mien", "serve", *given])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    assert problem in capsys.readouterr().err
