#include "model.hpp"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <stdexcept>

#include "flush_to_zero.hpp"
#include "state_list.hpp"

namespace apollo {
namespace {

constexpr int kNewestFormat = 4;
constexpr int kSequential = 0, kAllOptimisations = 99, kFloat32 = 1, kArenaAllocator = 1, kDefaultMemory = 0;

// The file's metadata, by ONNX Runtime's own calls.
class Metadata {
  public:
    Metadata(const OnnxRuntime& runtime, void* session)
        : runtime_(runtime), metadata_(runtime.create(OnnxRuntime::kSessionGetModelMetadata, session)),
          allocator_(runtime.create(OnnxRuntime::kGetAllocatorWithDefaultOptions)) {}
    ~Metadata() { runtime_.release(OnnxRuntime::kReleaseModelMetadata, metadata_); }
    Metadata(const Metadata&) = delete;
    Metadata& operator=(const Metadata&) = delete;

    std::string text(const std::string& key, const char* fallback = nullptr) const {
        const std::string name = "apollo_rt." + key;
        void* found = runtime_.create(OnnxRuntime::kModelMetadataLookupCustomMetadataMap, metadata_, allocator_,
                                      name.c_str());
        if (!found && !fallback)
            throw std::runtime_error(name + " is missing: this is no Apollo RT model");
        const std::string value = found ? static_cast<char*>(found) : fallback;
        if (found)
            runtime_.call(OnnxRuntime::kAllocatorFree, allocator_, found);
        return value;
    }

    int integer(const std::string& key, int lowest, int highest, const char* fallback = nullptr) const {
        const std::string value = text(key, fallback);
        char* end = nullptr;
        const long number = std::strtol(value.c_str(), &end, 10);
        if (value.empty() || *end || number < lowest || number > highest)
            throw std::runtime_error("apollo_rt." + key + " must be from " + std::to_string(lowest) + " to " +
                                     std::to_string(highest) + ", got " + value);
        return static_cast<int>(number);
    }

    void expect(const std::string& key, const std::string& wanted) const {
        if (text(key) != wanted)
            throw std::runtime_error("apollo_rt." + key + " must be " + wanted + ", got " + text(key));
    }

  private:
    const OnnxRuntime& runtime_;
    void *metadata_, *allocator_;
};

void* makeSession(const OnnxRuntime& runtime, const std::string& path) {
    void* options = runtime.create(OnnxRuntime::kCreateSessionOptions);
    void* session = nullptr;
    // A step is too short to share: with one thread ONNX Runtime starts none, and never waits.
    runtime.call(OnnxRuntime::kSetIntraOpNumThreads, options, 1);
    runtime.call(OnnxRuntime::kSetInterOpNumThreads, options, 1);
    runtime.call(OnnxRuntime::kSetSessionExecutionMode, options, kSequential);
    runtime.call(OnnxRuntime::kSetSessionGraphOptimizationLevel, options, kAllOptimisations);
    runtime.call(OnnxRuntime::kAddSessionConfigEntry, options, "session.set_denormal_as_zero", "1");
    try {
        const FlushToZero unchanged(false);  // making a session changes it for the host's thread
        session = runtime.create(OnnxRuntime::kCreateSession, runtime.environment(), path.c_str(), options);
    } catch (...) {
        runtime.release(OnnxRuntime::kReleaseSessionOptions, options);
        throw;
    }
    runtime.release(OnnxRuntime::kReleaseSessionOptions, options);
    return session;
}

}  // namespace

size_t State::size() const {
    size_t count = 1;
    for (const int64_t length : shape)
        count *= static_cast<size_t>(length);
    return count;
}

std::shared_ptr<const Model> Model::at(const std::string& path, const std::string& runtimePath) {
    static std::mutex mutex;
    // Kept for the process: hosts throw instances away and make them anew, and loading takes a tenth of a second.
    static auto& loaded = *new std::map<std::string, std::shared_ptr<const Model>>;
    const std::lock_guard<std::mutex> lock(mutex);
    std::shared_ptr<const Model>& model = loaded[path];
    if (!model)
        model.reset(new Model(path, OnnxRuntime::at(runtimePath)));
    return model;
}

Model::Model(const std::string& path, const OnnxRuntime& runtime)
    : runtime_(runtime), session_(makeSession(runtime, path)) {
    try {
        readCard();
    } catch (const std::runtime_error& error) {
        throw std::runtime_error(path + ": " + error.what());
    }
#if defined(__GLIBC__)
    malloc_trim(0);  // what loading took and gave back, some 10 MB, would stay with the host
#endif
}

void Model::readCard() {
    const Metadata metadata(runtime_, session_);
    const int version = metadata.integer("format_version", 1, kNewestFormat);
    metadata.expect("channels", "2");
    metadata.expect("window", "asymmetric-sine");
    if (version > 3)
        metadata.expect("edges", "silent");
    Framing& framing = card_.framing;
    framing.sampleRate = metadata.integer("sample_rate", 8000, 384000);
    framing.hopLength = metadata.integer("hop_length", 16, 4096);
    framing.analysisLength = metadata.integer("analysis_length", 2 * framing.hopLength, 65536);
    framing.lookaheadFrames = metadata.integer("lookahead_frames", 0, 128);
    card_.hasCarrier = metadata.text("carrier") != "none";
    if (card_.hasCarrier)
        metadata.expect("carrier", "hash-uniform-1");
    card_.recentSamples = version < 3 ? 0 : metadata.integer("recent_samples", 0, framing.analysisLength, "0");
    card_.states = parseStates(metadata.text("states"));
}

Step::Step(std::shared_ptr<const Model> model) : model_(std::move(model)) {
    const Card& card = model_->card();
    const int64_t bins = card.framing.nBins();
    memoryInfo_ = model_->runtime().create(OnnxRuntime::kCreateCpuMemoryInfo, kArenaAllocator, kDefaultMemory);
    for (std::vector<float>* frame : {&spectrum_, &carrier_, &restored_})
        frame->resize(4 * bins);
    recent_.resize(2 * card.recentSamples);
    for (int row = 0; row < 2; ++row)
        for (const State& state : card.states)
            states_[row].emplace_back(state.size());
    for (int parity = 0; parity < 2; ++parity) {
        bind(parity, "spectrum", spectrum_, {2, bins, 2}, true);
        if (card.hasCarrier)
            bind(parity, "carrier", carrier_, {2, bins, 2}, true);
        if (card.recentSamples > 0)
            bind(parity, "recent", recent_, {2, card.recentSamples}, true);
        bind(parity, "restored", restored_, {2, bins, 2}, false);
        for (size_t index = 0; index < card.states.size(); ++index) {
            const State& state = card.states[index];
            bind(parity, state.input.c_str(), states_[parity][index], state.shape, true);
            bind(parity, state.output.c_str(), states_[1 - parity][index], state.shape, false);
        }
    }
}

Step::~Step() {
    for (int parity = 0; parity < 2; ++parity)
        for (const std::vector<void*>* values : {&inputs_[parity], &outputs_[parity]})
            for (void* value : *values)
                model_->runtime().release(OnnxRuntime::kReleaseValue, value);
    model_->runtime().release(OnnxRuntime::kReleaseMemoryInfo, memoryInfo_);
}

void Step::bind(int row, const char* name, std::vector<float>& memory, const std::vector<int64_t>& shape,
                bool isInput) {
    void* value = model_->runtime().create(OnnxRuntime::kCreateTensorWithDataAsOrtValue, memoryInfo_,
                                           static_cast<void*>(memory.data()), memory.size() * sizeof(float),
                                           shape.data(), shape.size(), kFloat32);
    (isInput ? inputs_ : outputs_)[row].push_back(value);
    if (row == 0)
        (isInput ? inputNames_ : outputNames_).push_back(name);
}

bool Step::run(int parity) {
    return model_->runtime().tried(OnnxRuntime::kRun, model_->session(), static_cast<void*>(nullptr),
                                   inputNames_.data(), inputs_[parity].data(), inputs_[parity].size(),
                                   outputNames_.data(), outputNames_.size(), outputs_[parity].data());
}

void Step::forgetStates() {
    for (auto& row : states_)
        for (std::vector<float>& state : row)
            std::fill(state.begin(), state.end(), 0.0f);
}

}  // namespace apollo
