"""Descriptions of the plugins for LV2 hosts, read before they open them: manifest, ports and presets, in Turtle."""

from collections.abc import Iterable, Iterator

from apollo_rt.control.parameter_row import Parameter
from apollo_rt.control.parameter_table import PARAMETERS
from export.plugin.facts import Facts, Presets
from export.plugin.header import title

_PREFIXES = """@prefix doap: <http://usefulinc.com/ns/doap#> .
@prefix lv2: <http://lv2plug.in/ns/lv2core#> .
@prefix pprops: <http://lv2plug.in/ns/ext/port-props#> .
@prefix pset: <http://lv2plug.in/ns/ext/presets#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix units: <http://lv2plug.in/ns/extensions/units#> .
"""
_UNITS = {"dB": "units:db", "Hz": "units:hz"}


def documents(facts: Facts, binary: str, presets: Presets) -> dict[str, str]:
    """The bundle's documents by file name; `binary` is the file name of the code."""
    described = f"{facts.symbol}.ttl"
    plugins = {1: f"{facts.uri}:mono", 2: facts.uri}
    manifest = [_PREFIXES]
    for uri in plugins.values():
        manifest.append(f"<{uri}> a lv2:Plugin ; lv2:binary <{binary}> ; rdfs:seeAlso <{described}> .\n")
        manifest += (
            f"<{_preset_uri(uri, number)}> a pset:Preset ; lv2:appliesTo <{uri}> ;\n"
            f'    rdfs:label "{name}" ; rdfs:seeAlso <presets.ttl> .\n'
            for number, name in enumerate(presets)
        )
    texts = {
        "manifest.ttl": "\n".join(manifest),
        described: "\n".join((_PREFIXES, *(_plugin(facts, uri, count) for count, uri in plugins.items()))),
    }
    if presets:
        texts["presets.ttl"] = "\n".join((_PREFIXES, *_presets(plugins.values(), presets)))
    return texts


def _plugin(facts: Facts, uri: str, n_channels: int) -> str:
    name = facts.name + (" Mono" if n_channels == 1 else "")
    blocks = [*_audio_ports(n_channels), *(_control(row) for row in PARAMETERS), _LATENCY, _FREE_WHEELING]
    ports = " ,\n".join(f"    [ lv2:index {index} ;\n{block} ]" for index, block in enumerate(blocks))
    return (
        f'<{uri}> a lv2:Plugin , lv2:FilterPlugin ;\n    doap:name "{name}" ;\n'
        "    doap:license <https://spdx.org/licenses/MIT> ;\n"
        f"    lv2:minorVersion 2 ; lv2:microVersion 0 ;\n    lv2:port\n{ports} .\n"
    )


def _audio_ports(n_channels: int) -> Iterator[str]:
    sides = ("Left", "Right") if n_channels == 2 else ("Mono",)
    for direction in ("Input", "Output"):
        for side in sides:
            yield (
                f"      a lv2:AudioPort , lv2:{direction}Port ;\n"
                f'      lv2:symbol "{direction.lower()}_{side.lower()}" ; lv2:name "{direction} {side}"'
            )


def _control(row: Parameter) -> str:
    kind = ["lv2:toggled"] if row.is_switch else ["pprops:logarithmic"] if row.scale == "log" else []
    extra = [f"lv2:portProperty {' , '.join(kind)}"] if kind else []
    extra += [f"units:unit {_UNITS[row.unit]}"] if row.unit in _UNITS else []
    lines = (
        "      a lv2:ControlPort , lv2:InputPort",
        f'lv2:symbol "{row.name}" ; lv2:name "{title(row)}" ; rdfs:comment "{row.description}"',
        f"lv2:default {float(row.default)!r} ; lv2:minimum {float(row.minimum)!r} ; lv2:maximum {float(row.maximum)!r}",
        *extra,
    )
    return " ;\n      ".join(lines)


_LATENCY = """      a lv2:ControlPort , lv2:OutputPort ;
      lv2:symbol "latency" ; lv2:name "Latency" ; lv2:designation lv2:latency ;
      lv2:default 0.0 ; lv2:minimum 0.0 ; lv2:maximum 100000.0 ;
      lv2:portProperty lv2:reportsLatency , lv2:integer , pprops:notOnGUI ; units:unit units:frame"""
_FREE_WHEELING = """      a lv2:ControlPort , lv2:InputPort ;
      lv2:symbol "free_wheeling" ; lv2:name "Free-wheeling" ; lv2:designation lv2:freeWheeling ;
      lv2:default 0.0 ; lv2:minimum 0.0 ; lv2:maximum 1.0 ;
      lv2:portProperty lv2:toggled , pprops:notOnGUI"""


def _presets(uris: Iterable[str], presets: Presets) -> Iterator[str]:
    for uri in uris:
        for number, (name, values) in enumerate(presets.items()):
            ports = " ,\n".join(
                f'    [ lv2:symbol "{row.name}" ; pset:value {float(values[row.name])!r} ]'
                for row in PARAMETERS
                if not row.is_switch
            )
            yield (
                f"<{_preset_uri(uri, number)}> a pset:Preset ; lv2:appliesTo <{uri}> ;\n"
                f'    rdfs:label "{name}" ; lv2:port\n{ports} .\n'
            )


def _preset_uri(uri: str, number: int) -> str:
    return f"{uri}#preset-{number + 1}"
