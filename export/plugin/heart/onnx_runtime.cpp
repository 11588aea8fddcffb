#include "onnx_runtime.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <stdexcept>

namespace apollo {
namespace {

constexpr uint32_t kApiVersion = 24;  // old enough for any library, new enough for all that is called
constexpr int kFatal = 4;

struct ApiBase {
    void* const* (*getApi)(uint32_t version);
    const char* (*getVersion)();
};

}  // namespace

const OnnxRuntime& OnnxRuntime::at(const std::string& path) {
    static std::mutex mutex;
    // Never deleted: a host's threads may still be inside the library while the process ends.
    static auto& opened = *new std::map<std::string, const OnnxRuntime*>;
    const std::lock_guard<std::mutex> lock(mutex);
    const OnnxRuntime*& runtime = opened[path];
    if (!runtime)
        runtime = new OnnxRuntime(path);
    return *runtime;
}

OnnxRuntime::OnnxRuntime(const std::string& path) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library)
        throw std::runtime_error(dlerror());
    const auto getBase = reinterpret_cast<const ApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
    if (!getBase)
        throw std::runtime_error(path + ": is not ONNX Runtime");
    version_ = getBase()->getVersion();
    table_ = getBase()->getApi(kApiVersion);
    if (!table_)
        throw std::runtime_error(path + ": is older than ONNX Runtime 1." + std::to_string(kApiVersion));
    // From 1.29 on the library reports its use to its maker, beginning when the environment is made, and looks at
    // this variable alone to find out whether it may not. Nothing of a user's is changed.
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    environment_ = create(kCreateEnv, kFatal, static_cast<const char*>("apollo_rt"));
}

void OnnxRuntime::check(void* status) const {
    if (!status)
        return;
    const std::string message = reinterpret_cast<const char* (*)(void*)>(table_[kGetErrorMessage])(status);
    release(kReleaseStatus, status);
    throw std::runtime_error(message);
}

}  // namespace apollo
