"""Imports without garbage collections."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from mien.apps.importing import import_quickly


@pytest.mark.parametrize("is_on", [True, False])
def test_collections_pause_and_go_on_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_on: bool) -> None:
    (tmp_path / "imported_in_a_test.py").write_text("import gc\nwas_on = gc.isenabled()\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    was_on = gc.isenabled()
    try:
        (gc.enable if is_on else gc.disable)()
        import_quickly("imported_in_a_test")
        assert gc.isenabled() is is_on
        assert not sys.modules.pop("imported_in_a_test").was_on
        with pytest.raises(ModuleNotFoundError):
            import_quickly("no_such_module_anywhere")
        assert gc.isenabled() is is_on
    finally:
        gc.unfreeze()
        (gc.enable if was_on else gc.disable)()
