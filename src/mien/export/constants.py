"""Equal constants of a traced network, stored once."""

from __future__ import annotations

from typing import Any


def share_constants(model: Any) -> None:
    """Make nodes that read equal constants of the main graph read the first of them, and drop the others.

    Tracing repeats a constant wherever it is read: the matrices of a Fourier transform, the numbers of a slice.

    Args:
        model: An `onnx.ModelProto` whose nodes are in order; changed in place. Bodies of loops may read the main graph.
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
    """Let a graph's nodes read by the new names, also in the graphs inside them."""
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, renamed)
    for output in graph.output:  # a body may give a value of the main graph back
        output.name = renamed.get(output.name, output.name)
