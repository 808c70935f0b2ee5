"""Store equal constants of a traced network once."""

from __future__ import annotations

from typing import Any


def share_constants(model: Any) -> None:
    """Replace equal constants of the main graph by the first of them.

    Tracing repeats a constant wherever it is used, such as the matrices of a Fourier transform or the bounds of a
    slice.

    Args:
        model: An `onnx.ModelProto` with sorted nodes, changed in place. Bodies of loops may read the main graph.
    """
    first: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    outputs = {output.name for output in model.graph.output}
    kept = []
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output[0] not in outputs:
            name = first.setdefault(node.attribute[0].SerializeToString(deterministic=True), node.output[0])
            if name != node.output[0]:
                renamed[node.output[0]] = name
                continue
        kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    _rename(model.graph, renamed)


def _rename(graph: Any, renamed: dict[str, str]) -> None:
    """Rename the inputs of a graph's nodes and of the graphs inside them."""
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, renamed)
    for output in graph.output:  # a body may return a value of the main graph
        output.name = renamed.get(output.name, output.name)
