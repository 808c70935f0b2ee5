"""Two tiny real runs and their report, checked in a real browser: no error, and nothing wider than the window."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files",
         "--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom")  # fmt: skip
QUEUE = """[[run]]
name = "resnet18/synthetic"
recipe = "resnet18/synthetic"
seeds = [0, 1]
set = ["training.threads=1", "schedule.epochs=2", "network.options.width=8"]
why = "two tiny runs"
"""
# The page runs no script, so another page measures it: the width of the content, the number of style rules.
FRAME = """<!doctype html><body><iframe src="report/index.html" style="border:0;width:{width}px;height:900px"></iframe>
<p id="seen"></p><script>
onload = () => {{
  const page = document.querySelector('iframe').contentDocument;
  for (const part of page.querySelectorAll('details')) part.open = true;
  const line = page.querySelector('svg path[style*="#0072b2"]');
  const seen = [page.documentElement.scrollWidth, page.styleSheets[0].cssRules.length,
    getComputedStyle(line).strokeWidth];
  document.getElementById('seen').textContent = seen.join(' ');
}}
</script>"""


def mien(*words, cwd):
    command = [sys.executable, "-m", "mien", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True, timeout=120)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with results/runs of two seeds, trained for real, and their report."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "queue.toml").write_text(QUEUE, encoding="utf-8")
    mien("train-all", "queue.toml", "--out", "results/runs", cwd=folder)
    run = folder / "results" / "runs" / "resnet18-synthetic-seed0"
    mien("evaluate", run / "model.onnx", "--dataset", "synthetic", "--out", folder / "scores", cwd=folder)
    next((folder / "scores").glob("*.npz")).rename(run / "predictions.npz")
    done = mien("report", "results", "-o", "report", cwd=folder)
    assert done.stderr == ""
    return folder


def browse(page, folder, *options):
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


def test_report_holds_both_runs(work):
    page = (work / "report" / "index.html").read_text(encoding="utf-8")
    assert [path.name for path in (work / "report").iterdir()] == ["index.html"]
    for words in ("seed 0", "seed 1", "Reliability on 140 predictions", "sum of 2 runs", "Most confident mistakes"):
        assert words in page
    assert page.count('src="data:image/png;base64,') == 12
    assert len(page) < 600_000


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_reports_no_error_and_nothing_is_too_wide(work, tmp_path, width):
    frame = work / f"frame{width}.html"
    frame.write_text(FRAME.format(width=width), encoding="utf-8")
    done = browse(frame, tmp_path)
    assert "CONSOLE" not in done.stderr, done.stderr
    seen = re.search(r'<p id="seen">(\d+) (\d+) (\S+)</p>', done.stdout)
    assert seen, done.stdout[-2000:]
    assert int(seen[1]) <= width, "the page itself scrolls sideways"
    assert int(seen[2]) > 20, "the policy blocks the page's own style"
    assert seen[3] == "1.5px"


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_policy_blocks_scripts_and_the_browser_reports_it(work, tmp_path):
    text = (work / "report" / "index.html").read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", "<script>document.title = 'ran'</script></body>"), encoding="utf-8")
    done = browse(page, tmp_path)
    assert "CONSOLE" in done.stderr
    assert "<title>mien report</title>" in done.stdout
