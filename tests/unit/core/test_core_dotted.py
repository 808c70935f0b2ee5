from __future__ import annotations

from mien.core.dotted import flatten


def test_leaves_by_dotted_key_in_their_order():
    tree = {"name": "x", "network": {"options": {"width": 3}, "modulators": {}}, "shares": [1, 2]}
    assert list(flatten(tree).items()) == [("name", "x"), ("network.options.width", 3), ("shares", [1, 2])]
