"""The project's own queue of runs."""

import pytest

from lab import ROOT
from mien.recipes.queue import Job, load_queue

QUEUE = load_queue(ROOT / "lab" / "queue.toml")


@pytest.mark.parametrize("entry", QUEUE, ids=lambda entry: entry.name)
def test_every_entry_has_its_recipe_and_reason(entry):
    assert Job(entry, 0).load_recipe().data.dataset in {"fer2013", "ferplus", "ckplus"}
    assert entry.why
    assert entry.why.startswith("shortened") == entry.name.endswith("-short")


def test_the_queue_begins_with_the_default():
    assert (QUEUE[0].name, QUEUE[0].seeds) == ("default/fer2013", [0, 1, 2])
