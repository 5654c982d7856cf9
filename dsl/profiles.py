"""The network of a file and its profiles: every parameter has a value, every setting a meaning."""

from __future__ import annotations

from collections.abc import Mapping

from dsl import ast
from dsl.diagnostics import Collector, Label, did_you_mean
from dsl.graph import cycles
from dsl.settings import SETTINGS, complaint
from dsl.source import Span
from dsl.space import Entry, Profile
from dsl.vocabulary import PHASES


def resolve_network(file: ast.File, found: Collector) -> dict[str, Profile]:
    """The profiles of a file with their bases merged in, by name."""
    networks = [d for d in file.declarations if isinstance(d, ast.NetworkDecl)]
    parameters = networks[0].parameters if networks else ()
    for network in networks[1:]:
        label = Label(_keyword(networks[0]), "the first stands here")
        message = "a file has one network"
        found.add("E0701", message, _keyword(network), None, label)
    for parameter in (p for network in networks for p in network.parameters):
        if parameter.name in SETTINGS:
            message = f"`{parameter.name}` is a setting of the runtime"
            found.add("E0711", message, parameter.name_span, "choose another name")
    declared = _distinct(file, found)
    misspelt = {}
    for profile in declared.values():
        if networks:
            misspelt[profile.name.name] = _check_settings(profile, parameters, found)
    profiles = _merge(declared, found)
    _check_values(declared, profiles, parameters, misspelt, found)
    return profiles


def _keyword(network: ast.NetworkDecl) -> Span:
    return network.span.head(len("network"))


def _distinct(file: ast.File, found: Collector) -> dict[str, ast.ProfileDecl]:
    declared: dict[str, ast.ProfileDecl] = {}
    for profile in (d for d in file.declarations if isinstance(d, ast.ProfileDecl)):
        name = profile.name.name
        if name in declared:
            label = Label(declared[name].name.span, "first declared here")
            message = f"there already is a profile `{name}`"
            found.add("E0710", message, profile.name.span, None, label)
        declared.setdefault(name, profile)
    return declared


def _check_settings(
    profile: ast.ProfileDecl, declared: tuple[ast.Parameter, ...], found: Collector
) -> set[str]:
    """Reports what a profile cannot set; the parameters that were meant, as far as it shows."""
    parameters = {p.name for p in declared}
    meant = set()
    first: dict[str, ast.Setting] = {}
    for setting in profile.settings:
        name = setting.name.name
        if name in first:
            label = Label(first[name].name.span, "first set here")
            message = f"`{name}` is already set in this profile"
            found.add("E0713", message, setting.name.span, None, label)
        first.setdefault(name, setting)
        if name in SETTINGS and name not in parameters:
            wrong = complaint(name, setting.value)
            if wrong is not None:
                message = f"`{name}` {wrong}, this is `{setting.value_span.text}`"
                help = None
                if isinstance(setting.value, str):
                    help = did_you_mean(setting.value, SETTINGS[name].metadata.get("choices", ()))
                found.add("E0709", message, setting.value_span, help)
        elif name not in parameters:
            help = did_you_mean(name, [*parameters, *SETTINGS])
            message = f"no setting or parameter is called `{name}`"
            found.add("E0706", message, setting.name.span, help)
            meant |= {p for p in parameters if help is not None and f"`{p}`" in help}
    return meant


def _merge(declared: Mapping[str, ast.ProfileDecl], found: Collector) -> dict[str, Profile]:
    """Profiles in the order of the text, their bases' entries first; broken ones are left out."""
    for profile in declared.values():
        if profile.base is not None and profile.base.name not in declared:
            message = f"there is no profile `{profile.base.name}`"
            help = did_you_mean(profile.base.name, declared)
            found.add("E0705", message, profile.base.span, help)
    bases = {name: [p.base.name] for name, p in declared.items() if p.base is not None}
    for cycle in cycles(bases):
        way = ", ".join(f"`{name}`" for name in [*cycle, cycle[0]])
        span = declared[cycle[0]].name.span
        found.add("E0705", f"`{cycle[0]}` would derive from itself: {way}", span)
    merged: dict[str, Profile] = {}
    for name in declared:
        line = _line(name, declared)
        if line is not None:
            merged[name] = _merged(line)
    return merged


def _line(name: str, declared: Mapping[str, ast.ProfileDecl]) -> list[ast.ProfileDecl] | None:
    """A profile after its bases; None when one is missing or they go round."""
    line: list[ast.ProfileDecl] = []
    following: str | None = name
    while following is not None:
        profile = declared.get(following)
        if profile is None or profile in line:
            return None
        line.insert(0, profile)
        following = None if profile.base is None else profile.base.name
    return line


def _merged(line: list[ast.ProfileDecl]) -> Profile:
    entries: dict[str, Entry] = {}
    phase = None
    for profile in line:
        name = profile.name.name
        phase = name if name in PHASES else phase
        entries.update({s.name.name: Entry(s.value, s.value_span) for s in profile.settings})
    return Profile(line[-1].name.name, phase, entries)


def _check_values(
    declared: Mapping[str, ast.ProfileDecl],
    profiles: Mapping[str, Profile],
    parameters: tuple[ast.Parameter, ...],
    misspelt: Mapping[str, set[str]],
    found: Collector,
) -> None:
    """Reports parameters without a value; what a base lacks is reported there.

    One that is set under a misspelt name has been reported so.
    """
    needed = [p.name for p in parameters if p.default is None and p.name not in SETTINGS]
    for name, profile in profiles.items():
        base = declared[name].base
        above = None if base is None else profiles[base.name]
        if profile.phase is None or (above is not None and above.phase is not None):
            continue
        meant = set().union(*misspelt.values())
        for missing in (n for n in needed if n not in profile.entries and n not in meant):
            message = f"`{missing}` has no value in profile `{name}`"
            help = f"`{missing} = …` here or a default in the network"
            found.add("E0707", message, declared[name].name.span, help)
