"""Cycles in small graphs of names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def cycles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Cycles of a graph, each a list of names whose last leads to its first.

    Every name that lies on a cycle leads into one of them; no two share a name.
    """
    done: set[str] = set()
    found: list[list[str]] = []
    for start in graph:
        path: list[str] = []
        waiting = [(start, iter(graph[start]))] if start not in done else []
        path.extend(name for name, _ in waiting)
        while waiting:
            name, following = waiting[-1]
            step = next((n for n in following if n in graph and n not in done), None)
            if step is None:
                done.add(name)
                waiting.pop()
                path.pop()
            elif step in path:
                found.append(path[path.index(step) :])
                done.update(found[-1])
            else:
                path.append(step)
                waiting.append((step, iter(graph[step])))
    return found
