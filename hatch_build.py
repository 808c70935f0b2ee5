"""The package's metadata that depends on where its repository is published: project addresses, links of the README.

`MIEN_REPOSITORY=https://FORGE/OWNER/mien python -m build` makes them absolute, so that the page on an index shows the
images and leads to the documents. Without it they stay as they are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^][]*)\]\((?!\w+:|#)([^)\s]+)\)")


class RepositoryHook(MetadataHookInterface):
    """Sets `readme` and `urls`."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in the dynamic fields."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        if address := os.environ.get("MIEN_REPOSITORY", "").strip().rstrip("/"):
            text = make_absolute(text, address, f"v{metadata['version']}")
            metadata["urls"] = {
                "Source": address,
                "Documentation": f"{address}/tree/v{metadata['version']}/docs",
                "Changelog": f"{address}/blob/v{metadata['version']}/CHANGELOG.md",
                "Issues": f"{address}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def make_absolute(text: str, address: str, tag: str) -> str:
    """Return Markdown whose relative links lead to a tag of a repository, and whose images load from there."""

    def replace(found: re.Match[str]) -> str:
        image, words, target = found.groups()
        return f"{image}[{words}]({address}/{'raw' if image else 'blob'}/{tag}/{target})"

    return LINK.sub(replace, text)
