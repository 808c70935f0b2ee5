from __future__ import annotations

from typing import Literal

import pytest

from mien.core.errors import RecipeError
from mien.models.options import call_with_options


def build(
    stage: object,
    *,
    taken: int = 0,
    count: int = 1,
    share: float = 0.5,
    kind: Literal["a", "b"] = "a",
    use_it: bool = True,
    sizes: tuple[int, ...] = (1,),
    pair: tuple[float, float] = (0, 1),
    name: str | None = None,
) -> dict[str, object]:
    return dict(locals())


def test_values_of_the_annotated_types_pass_and_lists_become_tuples():
    given = {
        "count": 3,
        "share": 1,
        "kind": "b",
        "use_it": False,
        "sizes": [1, 2, 3],
        "pair": [0, 0.5],
        "name": None,
    }
    made = call_with_options(build, given, owner="part 'x'", given={"stage": None, "taken": 7})
    assert made == {**given, "sizes": (1, 2, 3), "pair": (0, 0.5), "stage": None, "taken": 7}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"coumt": 1}, "No option 'coumt' of part 'x'. Did you mean 'count'? Options: count, share,"),
        ({"taken": 1}, "No option 'taken'"),
        ({"stage": 1}, "No option 'stage'"),
        ({"count": 1.0}, "expected int"),
        ({"count": True}, "Option 'count' of part 'x' is True; expected int"),
        ({"share": "half"}, "expected float"),
        ({"kind": "c"}, "expected one of 'a', 'b'"),
        ({"use_it": 1}, "expected bool"),
        ({"sizes": [1, "2"]}, "expected tuple[int, ...]"),
        ({"sizes": 3}, "expected tuple[int, ...]"),
        ({"pair": [1, 2, 3]}, "expected tuple[float, float]"),
        ({"name": 3}, "expected str | None"),
    ],
)
def test_other_values_are_refused_by_name(options, words):
    with pytest.raises(RecipeError) as caught:
        call_with_options(build, options, owner="part 'x'", given={"stage": None, "taken": 7})
    assert words in str(caught.value)


def test_an_error_of_the_part_names_its_owner():
    def picky(*, count: int = 1) -> int:
        if count < 1:
            raise ValueError(f"count is {count}; it must be at least 1.")
        return count

    assert call_with_options(picky, {"count": 2}, owner="part 'x'") == 2
    with pytest.raises(RecipeError, match=r"^Options of part 'x': count is 0; it must be at least 1\.$"):
        call_with_options(picky, {"count": 0}, owner="part 'x'")
