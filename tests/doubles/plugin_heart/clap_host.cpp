// A CLAP host of a few lines, for the tests. It plays stereo (or mono) floats from stdin to stdout, interleaved:
//
//   clap_host FILE.clap RATE CHANNELS [NAME=VALUE | blocks=N,N,... | reset | save=PATH | load=PATH | offline | bare] ...
//
// `reset` plays everything twice, with a reset in between, and writes the second; `bare` is a host without extensions.
// To stderr go the latency, as told before and after activate, and each parameter with its value at the end.
#include <dlfcn.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "clap/entry.h"
#include "clap/ext/latency.h"
#include "clap/ext/params.h"
#include "clap/ext/state.h"
#include "clap/plugin-factory.h"

namespace {

bool isBare = false;

void latencyChanged(const clap_host_t*) {}
const clap_host_latency_t hostLatency = {latencyChanged};
void rescan(const clap_host_t*, clap_param_rescan_flags) {}
void clearParameter(const clap_host_t*, clap_id, clap_param_clear_flags) {}
void requestFlush(const clap_host_t*) {}
const clap_host_params_t hostParams = {rescan, clearParameter, requestFlush};

const void* getExtension(const clap_host_t*, const char* id) {
    if (isBare)
        return nullptr;
    if (!std::strcmp(id, CLAP_EXT_LATENCY))
        return &hostLatency;
    return std::strcmp(id, CLAP_EXT_PARAMS) ? nullptr : &hostParams;
}
void nothing(const clap_host_t*) {}
const clap_host_t host = {CLAP_VERSION, nullptr, "test", "test", "", "1", getExtension, nothing, nothing, nothing};

struct Render {  // clap/ext/render.h, which DPF does not ship
    bool (*hasHardRealtimeRequirement)(const clap_plugin_t*);
    bool (*set)(const clap_plugin_t*, int32_t);
};

// The values to be set, as the events of the first block.
std::vector<clap_event_param_value_t> events;
uint32_t nEvents(const clap_input_events_t*) { return events.size(); }
const clap_event_header_t* eventAt(const clap_input_events_t*, uint32_t index) { return &events[index].header; }
bool dropEvent(const clap_output_events_t*, const clap_event_header_t*) { return true; }
const clap_input_events_t inputEvents = {nullptr, nEvents, eventAt};
const clap_output_events_t outputEvents = {nullptr, dropEvent};

int64_t writeFile(const clap_ostream_t* stream, const void* data, uint64_t size) {
    return std::fwrite(data, 1, size, static_cast<FILE*>(stream->ctx));
}
int64_t readFile(const clap_istream_t* stream, void* data, uint64_t size) {
    return std::fread(data, 1, size, static_cast<FILE*>(stream->ctx));
}

std::vector<float> play(const clap_plugin_t* plugin, const std::vector<float>& audio, int nChannels,
                        const std::vector<int>& sizes) {
    std::vector<float> played;
    const size_t total = audio.size() / nChannels;
    size_t turn = 0;
    for (size_t done = 0; done < total; ++turn) {
        const size_t count = std::min<size_t>(sizes[turn % sizes.size()], total - done);
        std::vector<std::vector<float>> channels(nChannels, std::vector<float>(count));
        float* pointers[2];
        for (int channel = 0; channel < nChannels; ++channel) {
            for (size_t n = 0; n < count; ++n)
                channels[channel][n] = audio[(done + n) * nChannels + channel];
            pointers[channel] = channels[channel].data();
        }
        clap_audio_buffer_t in = {pointers, nullptr, static_cast<uint32_t>(nChannels), 0, 0}, out = in;
        clap_process_t process = {static_cast<int64_t>(done), static_cast<uint32_t>(count), nullptr, &in, &out, 1, 1,
                                  &inputEvents, &outputEvents};
        plugin->process(plugin, &process);
        events.clear();
        for (size_t n = 0; n < count; ++n)
            for (int channel = 0; channel < nChannels; ++channel)
                played.push_back(channels[channel][n]);
        done += count;
    }
    return played;
}

}  // namespace

int main(int count, char** words) {
    std::setlocale(LC_ALL, "");
    void* library = dlopen(words[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        std::fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    const auto* entry = static_cast<const clap_plugin_entry_t*>(dlsym(library, "clap_entry"));
    entry->init(words[1]);
    const auto* factory = static_cast<const clap_plugin_factory_t*>(entry->get_factory(CLAP_PLUGIN_FACTORY_ID));
    const double rate = std::atoi(words[2]);
    const int nChannels = std::atoi(words[3]);
    std::map<std::string, std::string> wishes;
    for (int index = 4; index < count; ++index) {
        const std::string word = words[index];
        const size_t end = word.find('=');
        wishes[word.substr(0, end)] = end == std::string::npos ? "" : word.substr(end + 1);
    }
    isBare = wishes.count("bare");
    const clap_plugin_t* plugin = factory->create_plugin(factory, &host, factory->get_plugin_descriptor(factory, 0)->id);
    if (!plugin || !plugin->init(plugin))
        return 2;
    const auto* latency = static_cast<const clap_plugin_latency_t*>(plugin->get_extension(plugin, CLAP_EXT_LATENCY));
    const auto* params = static_cast<const clap_plugin_params_t*>(plugin->get_extension(plugin, CLAP_EXT_PARAMS));
    const auto* state = static_cast<const clap_plugin_state_t*>(plugin->get_extension(plugin, CLAP_EXT_STATE));
    const auto* render = static_cast<const Render*>(plugin->get_extension(plugin, "clap.render"));
    if (wishes.count("offline") && !(render && render->set(plugin, 1)))
        return 3;
    for (uint32_t index = 0; index < params->count(plugin); ++index) {
        clap_param_info_t info;
        params->get_info(plugin, index, &info);
        if (!wishes.count(info.name))
            continue;
        std::istringstream text(wishes[info.name]);
        text.imbue(std::locale::classic());
        double value = 0;
        text >> value;
        clap_event_param_value_t event = {};
        event.header = {sizeof(event), 0, CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_PARAM_VALUE, 0};
        event.param_id = info.id, event.cookie = info.cookie, event.value = value;
        event.note_id = event.port_index = event.channel = event.key = -1;
        events.push_back(event);
    }
    if (wishes.count("load")) {
        FILE* file = std::fopen(wishes["load"].c_str(), "rb");
        const clap_istream_t stream = {file, readFile};
        if (!state->load(plugin, &stream))
            return 4;
        std::fclose(file);
    }
    std::fprintf(stderr, "before=%u\n", latency->get(plugin));
    plugin->activate(plugin, rate, 1, 8192);
    std::fprintf(stderr, "latency=%u\n", latency->get(plugin));
    plugin->start_processing(plugin);
    std::vector<int> sizes;
    std::stringstream list(wishes.count("blocks") ? wishes["blocks"] : "512");
    for (std::string size; std::getline(list, size, ',');)
        sizes.push_back(std::atoi(size.c_str()));
    std::vector<float> audio;
    for (float sample; std::fread(&sample, sizeof(sample), 1, stdin) == 1;)
        audio.push_back(sample);
    std::vector<float> played = play(plugin, audio, nChannels, sizes);
    if (wishes.count("reset")) {
        plugin->reset(plugin);
        played = play(plugin, audio, nChannels, sizes);
    }
    std::fwrite(played.data(), sizeof(float), played.size(), stdout);
    plugin->stop_processing(plugin);
    plugin->deactivate(plugin);
    if (wishes.count("save")) {
        FILE* file = std::fopen(wishes["save"].c_str(), "wb");
        const clap_ostream_t stream = {file, writeFile};
        if (!state->save(plugin, &stream))
            return 5;
        std::fclose(file);
    }
    std::setlocale(LC_ALL, "C");
    for (uint32_t index = 0; index < params->count(plugin); ++index) {
        clap_param_info_t info;
        params->get_info(plugin, index, &info);
        double value = 0;
        params->get_value(plugin, info.id, &value);
        std::fprintf(stderr, "%s=%.9g\n", info.name, value);
    }
    plugin->destroy(plugin);
    entry->deinit();
    return 0;
}
