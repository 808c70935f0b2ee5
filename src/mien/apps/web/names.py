"""Names in requests: an unknown one is refused, because without it the answer would be to another question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from fastapi import Request

from mien.apps.web.problems import ProblemError
from mien.core.errors import did_you_mean

LONGEST = 40  # letters of a client's name that are repeated


def refuse_unknown(kind: str, given: Iterable[str], known: Sequence[str], advice: str = "") -> None:
    """Refuse the first name that is not known; `kind` is what it names, such as "query name".

    Raises:
        ProblemError: 422; the message has the name, the nearest known one, all that are known, and the advice.
    """
    for name in given:
        if name not in known:
            shown = "".join(letter if letter.isprintable() else "?" for letter in name)[:LONGEST]
            accepted = f"Known: {', '.join(known)}." if known else "This address takes none."
            hints = " ".join(filter(None, (did_you_mean(shown, known).strip(), accepted, advice)))
            raise ProblemError("invalid", f"Unknown {kind} '{shown}'. {hints}")


async def check_query(request: Request) -> None:
    """Refuse query names that the route does not have, or that occur twice; for `Depends`.

    The OpenAPI document says which ones a route has.

    Raises:
        ProblemError: 422.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    if not counts:
        return
    operation = request.app.openapi()["paths"][request.scope["route"].path_format][request.method.lower()]
    known = [parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"]
    refuse_unknown("query name", counts, known)
    for name, count in counts.items():
        if count > 1:
            raise ProblemError("invalid", f"The query has '{name}' {count} times; give it once.")
