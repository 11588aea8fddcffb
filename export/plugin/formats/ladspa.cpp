// LADSPA: a stereo plugin and a mono one in one file. Not by DPF, whose latency port is called `_latency`: hosts look
// for `latency`. Ports: inputs, outputs, the table's parameters, latency.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "facts.hpp"
#include "instance.hpp"
#include "ladspa/ladspa.h"

namespace apollo {

const char* const kResources = APOLLO_RESOURCES;

namespace {

constexpr LADSPA_PortRangeHintDescriptor kNoDefault = 0;

// LADSPA tells a default as one of a few; here those that are a number by themselves, whatever the bounds.
constexpr LADSPA_PortRangeHintDescriptor defaultOf(const ParameterRow& row) {
    return row.fallback == row.minimum   ? LADSPA_HINT_DEFAULT_MINIMUM
           : row.fallback == row.maximum ? LADSPA_HINT_DEFAULT_MAXIMUM
           : row.fallback == 0           ? LADSPA_HINT_DEFAULT_0
           : row.fallback == 1           ? LADSPA_HINT_DEFAULT_1
           : row.fallback == 100         ? LADSPA_HINT_DEFAULT_100
           : row.fallback == 440         ? LADSPA_HINT_DEFAULT_440
                                         : kNoDefault;
}

constexpr bool canTellDefaults() {
    for (const ParameterRow& row : PARAMETERS)
        if (defaultOf(row) == kNoDefault)
            return false;
    return true;
}
static_assert(canTellDefaults(), "LADSPA can't tell the default of one of the parameters");

struct Plugin {
    Plugin(double sampleRate, int nChannels) : instance(sampleRate), nChannels(nChannels), ports(nPorts(nChannels)) {}

    static int nPorts(int nChannels) { return 2 * nChannels + N_PARAMETERS + 1; }

    void readParameters() {
        for (int index = 0; index < N_PARAMETERS; ++index)
            if (const float* value = ports[2 * nChannels + index])
                instance.restorer().set(index, *value);
    }

    void writeLatency() {
        if (float* latency = ports.back())
            *latency = static_cast<float>(instance.restorer().latency());
    }

    Instance instance;
    int nChannels;
    std::vector<float*> ports;
};

template <int nChannels>
LADSPA_Handle instantiate(const LADSPA_Descriptor*, unsigned long sampleRate) {
    return new Plugin(static_cast<double>(sampleRate), nChannels);
}

void connectPort(LADSPA_Handle handle, unsigned long port, LADSPA_Data* data) {
    static_cast<Plugin*>(handle)->ports[port] = data;
}

void activate(LADSPA_Handle handle) {
    auto* plugin = static_cast<Plugin*>(handle);
    plugin->instance.activate();
    plugin->writeLatency();  // PipeWire reads it now, before anything was run
}

void run(LADSPA_Handle handle, unsigned long count) {
    auto* plugin = static_cast<Plugin*>(handle);
    plugin->readParameters();
    plugin->writeLatency();
    plugin->instance.restorer().process(plugin->ports.data(), plugin->ports.data() + plugin->nChannels,
                                        plugin->nChannels, static_cast<int>(count));
}

void deactivate(LADSPA_Handle handle) { static_cast<Plugin*>(handle)->instance.deactivate(); }
void cleanup(LADSPA_Handle handle) { delete static_cast<Plugin*>(handle); }

// A descriptor, and the memory that it points to.
struct Description {
    explicit Description(int nChannels) {
        const char* const inputs[] = {nChannels == 1 ? "Input" : "Input left", "Input right"};
        const char* const outputs[] = {nChannels == 1 ? "Output" : "Output left", "Output right"};
        for (int channel = 0; channel < nChannels; ++channel)
            add(LADSPA_PORT_INPUT | LADSPA_PORT_AUDIO, inputs[channel], {});
        for (int channel = 0; channel < nChannels; ++channel)
            add(LADSPA_PORT_OUTPUT | LADSPA_PORT_AUDIO, outputs[channel], {});
        for (const ParameterRow& row : PARAMETERS)
            add(LADSPA_PORT_INPUT | LADSPA_PORT_CONTROL, row.name, hintOf(row));
        add(LADSPA_PORT_OUTPUT | LADSPA_PORT_CONTROL, "latency", {});
        const bool isMono = nChannels == 1;
        label = std::string(facts::SYMBOL) + (isMono ? "_mono" : "");
        name = std::string(facts::NAME) + (isMono ? " (mono)" : "");
        descriptor = {};
        descriptor.UniqueID = facts::LADSPA_ID + static_cast<unsigned>(isMono);
        descriptor.Label = label.c_str();
        descriptor.Name = name.c_str();
        descriptor.Maker = "Apollo RT";
        descriptor.Copyright = facts::LICENCE;
        descriptor.PortCount = names.size();
        descriptor.PortDescriptors = ports.data();
        descriptor.PortNames = names.data();
        descriptor.PortRangeHints = hints.data();
        descriptor.instantiate = isMono ? instantiate<1> : instantiate<2>;
        descriptor.connect_port = connectPort;
        descriptor.activate = activate;
        descriptor.run = run;
        descriptor.deactivate = deactivate;
        descriptor.cleanup = cleanup;
    }

    void add(LADSPA_PortDescriptor port, const char* portName, const LADSPA_PortRangeHint& hint) {
        ports.push_back(port);
        names.push_back(portName);
        hints.push_back(hint);
    }

    static LADSPA_PortRangeHint hintOf(const ParameterRow& row) {
        const int bounds = LADSPA_HINT_BOUNDED_BELOW | LADSPA_HINT_BOUNDED_ABOVE;
        const int kind = row.isSwitch ? LADSPA_HINT_TOGGLED : bounds | (row.isLogarithmic ? LADSPA_HINT_LOGARITHMIC : 0);
        // A switch is told by 0 and 1 alone.
        const int fallback = row.isSwitch ? (row.fallback == 0 ? LADSPA_HINT_DEFAULT_0 : LADSPA_HINT_DEFAULT_1)
                                          : defaultOf(row);
        return {kind | fallback, static_cast<float>(row.minimum), static_cast<float>(row.maximum)};
    }

    std::string label, name;
    std::vector<LADSPA_PortDescriptor> ports;
    std::vector<const char*> names;
    std::vector<LADSPA_PortRangeHint> hints;
    LADSPA_Descriptor descriptor;
};

}  // namespace
}  // namespace apollo

extern "C" __attribute__((visibility("default"))) const LADSPA_Descriptor* ladspa_descriptor(unsigned long index) {
    static const apollo::Description stereo(2), mono(1);
    return index == 0 ? &stereo.descriptor : index == 1 ? &mono.descriptor : nullptr;
}
