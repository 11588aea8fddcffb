#include "instance.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <stdexcept>
#include <string>

#include "facts.hpp"
#include "model.hpp"

namespace apollo {
namespace {

// The folder of what the bundle holds beside the code, seen from the plugin's own file.
std::string resources() {
    Dl_info place;
    if (!dladdr(reinterpret_cast<const void*>(&resources), &place) || !place.dli_fname)
        throw std::runtime_error("the plugin's own file can't be found");
    const std::string path = place.dli_fname;
    const size_t end = path.rfind('/');
    return (end == std::string::npos ? "." : path.substr(0, end)) + "/" + kResources + "/";
}

std::unique_ptr<HopProcessor> loaded() {
    const std::string folder = resources();
    auto model = Model::at(folder + facts::MODEL_FILE, folder + facts::LIBRARY_FILE);
    if (!(model->card().framing == facts::FRAMING))
        throw std::runtime_error(folder + facts::MODEL_FILE + " is not the model that the plugin was built for");
    return std::make_unique<Processor>(std::move(model));
}

}  // namespace

Instance::Instance(double sampleRate) : restorer_(facts::FRAMING, sampleRate) {}

void Instance::activate() {
    try {
        if (!restorer_.isEquipped())
            restorer_.equip(loaded());
        restorer_.start();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: the input passes as it is: %s\n", facts::NAME, error.what());
    }
    restorer_.reset();
}

void Instance::deactivate() { restorer_.stop(); }

}  // namespace apollo
