"""The files of a configuration: gateway.yaml and every routes/*.yaml beside it, or one file. Reads, and parses each once.

A file whose text and whose references' values are as they were is not parsed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, SequenceNode

from gateway.compile.finding import Finding, shown_path
from gateway.compile.source.places import at
from gateway.compile.source.references import Dependencies, Outside, References, digest, read_whole
from gateway.compile.source.yaml12 import Problem, Unreadable, compose, load

Keys = tuple[str | int, ...]


class ConfigurationMissing(Exception):
    """There is no configuration at all where one was looked for."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it is on disk."""

    name: str  # relative to the configuration's folder
    path: Path
    text: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file, parsed."""

    written: Written
    main: bool  # gateway.yaml, which may hold everything; the others hold routes, upstreams and consumers
    value: Mapping[str, Any]
    marks: Mapping[Keys, tuple[int, int]]  # line and column of each route, upstream and policy
    findings: tuple[Finding, ...]
    unread: frozenset[Keys]  # where a value could not be read
    references: References
    readable: bool = True  # False: it is no YAML; more findings would only hide that

    @property
    def used(self) -> Dependencies:
        """What the file depends on outside itself, as far as it was decoded."""
        return self.references.used

    @property
    def name(self) -> str:
        return self.written.name

    @property
    def folder(self) -> Path:
        return self.written.path.parent

    def root(self) -> Node | None:
        """The nodes, composed again: they are needed for findings only, and weigh more than all else together."""
        try:
            return compose(self.written.text)
        except Unreadable:
            return None


def configuration_files(location: Path) -> list[Path]:
    """gateway.yaml first; hidden files are editors' and not meant, as in a shell's `*.yaml`. Raises ConfigurationMissing."""
    if location.is_file():
        return [location]
    main = location / "gateway.yaml"
    if not main.is_file():
        what = "no gateway.yaml in it" if location.is_dir() else "no such folder or file"
        raise ConfigurationMissing(f"{what}; name the configuration with --config DIR or SLUICEGATE_CONFIG")
    return [main, *sorted(path for path in (location / "routes").glob("*.yaml") if not path.name.startswith("."))]


def read(path: Path, base: Path) -> Written | Finding:
    name = path.relative_to(base).as_posix()
    try:
        content = read_whole(path)
        return Written(name, path, content.decode("utf-8-sig"), digest(content))
    except OSError as problem:
        return Finding(name, 0, 0, "error", "", f"cannot be read: {problem.strerror}")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        return Finding(name, line, 1, "error", "", "not UTF-8 text")


def parse(written: Written, outside: Outside, *, main: bool) -> SourceFile:
    references = References(written.path.parent, outside)
    try:
        document = load(written.text, references.interpolate)
    except Unreadable as problem:
        finding = _finding(written.name, {}, problem.problem)
        return SourceFile(written, main, {}, {}, (finding,), frozenset(), references, readable=False)
    findings = [_finding(written.name, document.value, problem) for problem in document.problems]
    value = document.value
    if value is None:
        value = {}
    elif not isinstance(value, dict):
        findings.append(
            Finding(written.name, 1, 1, "error", "", "a configuration file holds a mapping, as in `routes: [...]`")
        )
        value = {}
    unread = frozenset(problem.path for problem in document.problems)
    marks = dict(_marks(document.root)) if isinstance(document.root, MappingNode) else {}
    return SourceFile(written, main, value, marks, tuple(findings), unread, references)


def _finding(file: str, value: object, problem: Problem) -> Finding:
    return Finding(file, problem.line, problem.column, "error", shown_path(value, problem.path), problem.message)


def _marks(root: MappingNode) -> Any:
    """Places that are shown even where nothing is wrong: `explain` names them, and doubles name each other."""
    for key, value in root.value:
        match key.value, value:
            case "routes", SequenceNode():
                for index, route in enumerate(value.value):
                    yield ("routes", index), at(route)
                    yield from _policies(("routes", index), route)
            case "upstreams" | "consumers" | "issuers" | "tiers" as section, MappingNode():
                for name, block in value.value:
                    yield (section, name.value), at(name)
                    if section == "upstreams":
                        yield from _policies((section, name.value), block)
            case "global" | "defaults" as section, _:
                yield from _policies((section,), value)


def _policies(path: Keys, block: Node) -> Any:
    if isinstance(block, MappingNode):
        for key, value in block.value:
            if key.value == "policies" and isinstance(value, MappingNode):
                for name, policy in value.value:
                    yield (*path, "policies", name.value), at(name)
                    if isinstance(policy, SequenceNode):
                        for index, item in enumerate(policy.value):
                            yield (*path, "policies", name.value, index), at(item)
