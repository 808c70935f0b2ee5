"""`python -m lab site`: build the documentation as a site of static pages, and check that no link in it is dead.

The pages are the documents of the repository. They are copied together with the files that they link to, such as run
records, into `build/site-source`, in the repository's own layout, so that their links need no change.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from typer.main import get_command
from typer.testing import CliRunner

from lab import ROOT

SOURCE = Path("build") / "site-source"
SITE = Path("build") / "site"
WORKER = Path("assets") / "javascripts" / "site_worker.js"
# Zensical loads this from another site, so that the search works in pages opened from a disk.
SHIM = "https://unpkg.com/iframe-worker/shim"
COMMANDS = Path("docs") / "reference" / "commands.md"
DOCUMENTS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**/*.md", "results/README.md", "weights/README.md")
LINK = re.compile(r"\]\(([^)#\s]+)")


def stage(root: Path, target: Path) -> None:
    """Copy the documents, and what they link to, into an empty folder, and write the page of commands.

    Raises:
        FileNotFoundError: A document links to a file that does not exist.
    """
    shutil.rmtree(target, ignore_errors=True)
    documents = [path for pattern in DOCUMENTS for path in sorted(root.glob(pattern))]
    linked = {
        (page.parent / unquote(link)).resolve().relative_to(root)
        for page in documents
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if not urlsplit(link).scheme
    }
    for path in sorted({page.relative_to(root) for page in documents} | linked):
        if (root / path).is_dir():
            raise FileNotFoundError(f"a document links to the folder {path}; link to a file in it")
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, target / path)
    (target / COMMANDS).write_text(describe_commands(), encoding="utf-8")


def describe_commands() -> str:
    """Return a Markdown page with the help of every command, as `mien COMMAND --help` prints it at 100 columns."""
    from mien.apps.cli import app

    page = ["# Commands", "", "What `mien COMMAND --help` prints."]
    commands = get_command(app).commands  # type: ignore[attr-defined] # a group
    for name, command in sorted(commands.items()):
        for words in [[name, sub] for sub in sorted(getattr(command, "commands", {}))] or [[name]]:
            shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "100", "TERM": "dumb"}).output
            page += ["", f"## mien {' '.join(words)}", "", "```text", shown.strip("\n"), "```"]
    return "\n".join(page) + "\n"


def keep_on_disk(site: Path) -> None:
    """Let the pages load the search's worker from the site itself."""
    shutil.copyfile(Path(__file__).with_name(WORKER.name), site / WORKER)
    for page in site.rglob("*.html"):
        up = "../" * (len(page.relative_to(site).parts) - 1)
        page.write_text(page.read_text(encoding="utf-8").replace(SHIM, up + WORKER.as_posix()), encoding="utf-8")


class _Page(HTMLParser):
    """Collects a page's links and the names that links can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what the tag links to or loads."""
        values = dict(attrs)
        self.names.update(value for key in ("id", "name") if (value := values.get(key)))
        self.links += [value for key in ("href", "src") if (value := values.get(key))]
        is_loaded = tag == "link" and "canonical" not in (values.get("rel") or "")
        self.loads += [value for key in ("src", *["href"] * is_loaded) if (value := values.get(key))]


def find_dead_links(site: Path) -> Iterator[str]:
    """Yield a line for every link within the site that leads nowhere, and for everything loaded from another site."""
    site = site.resolve()
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        yield from (f"{path.relative_to(site)} loads {url}" for url in page.loads if urlsplit(url).netloc)
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file():
                yield f"{path.relative_to(site)}: {link} does not exist"
            elif parts.fragment and file in pages and unquote(parts.fragment) not in pages[file].names:
                yield f"{path.relative_to(site)}: {link} has no such heading"


def main() -> int:
    """Build the site below the checkout; 1 if that fails or a link is dead."""
    stage(ROOT, ROOT / SOURCE)
    words = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    built = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if built.returncode:
        print(built.stdout + built.stderr)
        return 1
    keep_on_disk(ROOT / SITE)
    dead = list(find_dead_links(ROOT / SITE))
    print("\n".join(dead) or f"{SITE}/index.html: {len(list((ROOT / SITE).rglob('*.html')))} pages, no dead link")
    return bool(dead)
