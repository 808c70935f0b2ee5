"""What tests of training share: drawn faces, and torch as it was."""

import numpy as np
import pytest
import torch

from mien.data.registry import load


@pytest.fixture(scope="session")
def faces():
    """A third of the drawn data set."""
    return load("synthetic", None).subset(np.arange(0, 560, 3))


@pytest.fixture(autouse=True)
def restore_torch():
    """Give torch back what a recipe has set in this process."""
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
