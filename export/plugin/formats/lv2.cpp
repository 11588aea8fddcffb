// LV2: a stereo plugin and a mono one in one bundle; export/plugin/turtle.py describes them. Not by DPF, which requires
// the options feature, and which hands on nothing of free-wheeling. Ports: inputs, outputs, the table's parameters,
// latency, free-wheeling.
#include <string>
#include <vector>

#include "facts.hpp"
#include "instance.hpp"
#include "lv2/lv2.h"

namespace apollo {

const char* const kResources = APOLLO_RESOURCES;

namespace {

struct Plugin {
    Plugin(double sampleRate, int nChannels)
        : instance(sampleRate), nChannels(nChannels), ports(2 * nChannels + N_PARAMETERS + 2) {}

    float* latency() { return ports[2 * nChannels + N_PARAMETERS]; }
    const float* freeWheeling() { return ports[2 * nChannels + N_PARAMETERS + 1]; }

    Instance instance;
    int nChannels;
    std::vector<float*> ports;
};

template <int nChannels>
LV2_Handle instantiate(const LV2_Descriptor*, double sampleRate, const char*, const LV2_Feature* const*) {
    return new Plugin(sampleRate, nChannels);
}

void connectPort(LV2_Handle handle, uint32_t port, void* data) {
    static_cast<Plugin*>(handle)->ports[port] = static_cast<float*>(data);
}

void activate(LV2_Handle handle) {
    auto* plugin = static_cast<Plugin*>(handle);
    plugin->instance.activate();
    if (plugin->latency())
        *plugin->latency() = static_cast<float>(plugin->instance.restorer().latency());
}

void run(LV2_Handle handle, uint32_t count) {
    auto* plugin = static_cast<Plugin*>(handle);
    Restorer& restorer = plugin->instance.restorer();
    for (int index = 0; index < N_PARAMETERS; ++index)
        if (const float* value = plugin->ports[2 * plugin->nChannels + index])
            restorer.set(index, *value);
    if (plugin->latency())
        *plugin->latency() = static_cast<float>(restorer.latency());
    // A host that connects the port and leaves it at 0 may still render: its pace tells.
    restorer.tell(plugin->freeWheeling() && *plugin->freeWheeling() > 0 ? Pacing::kRendering : Pacing::kNone);
    if (count > 0)
        restorer.process(plugin->ports.data(), plugin->ports.data() + plugin->nChannels, plugin->nChannels,
                         static_cast<int>(count));
}

void deactivate(LV2_Handle handle) { static_cast<Plugin*>(handle)->instance.deactivate(); }
void cleanup(LV2_Handle handle) { delete static_cast<Plugin*>(handle); }
const void* extensionData(const char*) { return nullptr; }

}  // namespace
}  // namespace apollo

extern "C" __attribute__((visibility("default"))) const LV2_Descriptor* lv2_descriptor(uint32_t index) {
    using namespace apollo;
    static const std::string monoUri = std::string(facts::URI) + ":mono";
    static const LV2_Descriptor stereo = {facts::URI, instantiate<2>, connectPort, activate,
                                          run,        deactivate,     cleanup,     extensionData};
    static const LV2_Descriptor mono = {monoUri.c_str(), instantiate<1>, connectPort, activate,
                                        run,             deactivate,     cleanup,     extensionData};
    return index == 0 ? &stereo : index == 1 ? &mono : nullptr;
}
