"""DPF, mended: a copy of the installed framework with a few exact replacements, each with its reason.

DPF is ISC, which allows it. A replacement whose text does not stand there exactly as often as it says fails: another
version of DPF has to be looked at, not built by luck. Where a newer one needs a mend no more, the mend goes.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

from export.plugin.compiler import FRAMEWORK, CompilerError


class Mend(NamedTuple):
    """One replacement: in which file, what stands there, what shall, why, and in how many places."""

    file: str
    before: str
    after: str
    reason: str
    n_places: int = 1


_NUMBER = """
#include <charconv>
#include <cstring>
START_NAMESPACE_DISTRHO
void apolloTell(void* plugin, bool isRendering);
void apolloReset(void* plugin);
static inline float apolloNumber(const char* text)
{
    float value = 0.f;
    std::from_chars(text, text + std::strlen(text), value);
    return value;
}
END_NAMESPACE_DISTRHO
"""
_VST3, _CLAP = "src/DistrhoPluginVST3.cpp", "src/DistrhoPluginCLAP.cpp"
_LOCALE = "state is written with a point and read by the locale: fractions vanish where the decimal sign is a comma"
_RENDER = "no format's off-line flag reaches a plugin"
_RESET = "CLAP's reset does nothing"
_NO_LATENCY = "a CLAP host without the latency extension crashes it"

MENDS = (
    Mend(_VST3, '#include "travesty/host.h"\n', '#include "travesty/host.h"\n' + _NUMBER, _LOCALE),
    Mend(_VST3, "fvalue = std::atof(value.buffer());", "fvalue = apolloNumber(value.buffer());", _LOCALE),
    Mend(
        _VST3,
        "#define DPF_VST3_MAX_LATENCY     DPF_VST3_MAX_SAMPLE_RATE * 10",
        "#define DPF_VST3_MAX_LATENCY     (DPF_VST3_MAX_SAMPLE_RATE * 10)",
        "the parameter `Latency` says 100 times as much",
    ),
    Mend(
        _VST3,
        "        fPlugin.setBufferSize(setup->max_block_size, true);\n\n      #if DPF_VST3_USES_SEPARATE_CONTROLLER",
        "        fPlugin.setBufferSize(setup->max_block_size, true);\n"
        "        apolloTell(fPlugin.getInstancePointer(), setup->process_mode == V3_OFFLINE);\n\n"
        "      #if DPF_VST3_USES_SEPARATE_CONTROLLER",
        _RENDER,
    ),
    Mend(_CLAP, '#include "clap/ext/thread-check.h"\n', '#include "clap/ext/thread-check.h"\n' + _NUMBER, _LOCALE),
    Mend(_CLAP, "fvalue = std::atof(value.buffer());", "fvalue = apolloNumber(value.buffer());", _LOCALE),
    Mend(
        _CLAP,
        "fHostExtensions.latency->changed(fHost);",
        "if (fHostExtensions.latency != nullptr) fHostExtensions.latency->changed(fHost);",
        _NO_LATENCY,
        n_places=2,
    ),
    Mend(
        _CLAP,
        "    void checkForLatencyChanges(const bool isActive, const bool fromMainThread)\n",
        "    void* pluginPointer() const noexcept { return fPlugin.getInstancePointer(); }\n\n"
        "    void checkForLatencyChanges(const bool isActive, const bool fromMainThread)\n",
        _RESET,
    ),
    Mend(
        _CLAP,
        "static CLAP_ABI void clap_plugin_reset(const clap_plugin_t*)\n{\n    // nothing to do\n}\n",
        "static CLAP_ABI void clap_plugin_reset(const clap_plugin_t* const plugin)\n{\n"
        "    apolloReset(static_cast<PluginCLAP*>(plugin->plugin_data)->pluginPointer());\n}\n\n"
        "struct ApolloRender\n{\n"
        "    bool (CLAP_ABI *has_hard_realtime_requirement)(const clap_plugin_t*);\n"
        "    bool (CLAP_ABI *set)(const clap_plugin_t*, int32_t mode);\n};\n"
        "static CLAP_ABI bool apolloHasHardRealtime(const clap_plugin_t*) { return false; }\n"
        "static CLAP_ABI bool apolloSetRender(const clap_plugin_t* const plugin, const int32_t mode)\n{\n"
        "    apolloTell(static_cast<PluginCLAP*>(plugin->plugin_data)->pluginPointer(), mode == 1);\n"
        "    return true;\n}\n"
        "static const ApolloRender apolloRender = { apolloHasHardRealtime, apolloSetRender };\n",
        _RESET,
    ),
    Mend(
        _CLAP,
        "    if (std::strcmp(id, CLAP_EXT_PARAMS) == 0)\n        return &clap_plugin_params;\n",
        '    if (std::strcmp(id, "clap.render") == 0)\n        return &apolloRender;\n'
        "    if (std::strcmp(id, CLAP_EXT_PARAMS) == 0)\n        return &clap_plugin_params;\n",
        _RENDER,
    ),
)


def mended_copy(folder: Path, source: Path = FRAMEWORK) -> Path:
    """Copy the framework into `folder` and mend it; returns its include folder.

    Raises:
        CompilerError: a text isn't there as often as it should, so that this is another version.
    """
    copy = folder / "distrho"
    shutil.copytree(source, copy)
    for mend in MENDS:
        path = copy / mend.file
        text = path.read_text(encoding="utf-8")
        if (count := text.count(mend.before)) != mend.n_places:
            raise CompilerError(
                f"{source / mend.file}: places to mend ({mend.reason}) must be {mend.n_places}, found {count}: this is "
                "another version of DPF than 1.6, for which export/plugin/framework.py was written"
            )
        path.write_text(text.replace(mend.before, mend.after), encoding="utf-8")
    return copy
