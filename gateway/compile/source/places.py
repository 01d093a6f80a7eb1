"""Where things stand in a composed document: from nodes to paths, and from paths to lines and columns. Reads no values."""

from __future__ import annotations

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode


def at(node: Node) -> tuple[int, int]:
    """Line and column of a node, from 1."""
    mark = node.start_mark
    return mark.line + 1, mark.column + 1


def path_of(root: Node, wanted: Node) -> tuple[str | int, ...] | None:
    """The keys and indexes that lead to a node or to a key's node; None when it is not below `root`."""
    if root is wanted:
        return ()
    if type(root) is MappingNode:
        for key, value in root.value:
            below = () if key is wanted else path_of(value, wanted)
            if below is not None:
                return (key.value, *below) if type(key) is ScalarNode else ()
    elif type(root) is SequenceNode:
        for index, item in enumerate(root.value):
            below = path_of(item, wanted)
            if below is not None:
                return (index, *below)
    return None


def locate(root: Node, path: tuple[str | int, ...], *, key: bool = False) -> tuple[int, int]:
    """Line and column of the value at `path`, as far as the path goes; of its key where asked, or where it is a collection."""
    place = at(root)
    node = root
    for step in path:
        if type(node) is MappingNode:
            found = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if found is None:
                break
            name, node = found
            place = at(name) if key or type(node) is not ScalarNode else at(node)
        elif type(node) is SequenceNode and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            place = at(node)
        # a step that YAML does not have (a shorthand written out, a branch of a union) leaves us where we are
    return place
