// A model, loaded once a process and shared: its card, its session, and steps with buffers of their own; as
// apollo_rt/inference/model.py and docs/model_format.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fourier.hpp"
#include "framing.hpp"
#include "onnx_runtime.hpp"

namespace apollo {

// A tensor that is fed back from step to step.
struct State {
    std::string input, output;
    std::vector<int64_t> shape;
    size_t size() const;
};

// What the file's metadata say of the model, as far as a step needs it.
struct Card {
    Framing framing;
    bool hasCarrier = false;
    int recentSamples = 0;
    std::vector<State> states;
};

class Model {
  public:
    // The model at `path` by the library at `runtimePath`; the same one for all who ask. Throws std::runtime_error.
    static std::shared_ptr<const Model> at(const std::string& path, const std::string& runtimePath);

    const Card& card() const { return card_; }
    const OnnxRuntime& runtime() const { return runtime_; }
    void* session() const { return session_; }

  private:
    Model(const std::string& path, const OnnxRuntime& runtime);
    void readCard();

    const OnnxRuntime& runtime_;
    void* session_ = nullptr;
    Card card_;
};

// One frame in, one frame out, on buffers that are bound once; states go back and forth between two rows.
class Step {
  public:
    explicit Step(std::shared_ptr<const Model> model);
    ~Step();
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

    // Run with the states of row `parity`; false where ONNX Runtime refuses.
    bool run(int parity);
    void forgetStates();

    Bin* spectrum() { return reinterpret_cast<Bin*>(spectrum_.data()); }
    Bin* carrier() { return reinterpret_cast<Bin*>(carrier_.data()); }  // (2, bins), or nothing
    Bin* restored() { return reinterpret_cast<Bin*>(restored_.data()); }
    float* recent() { return recent_.data(); }

  private:
    void bind(int row, const char* name, std::vector<float>& memory, const std::vector<int64_t>& shape, bool isInput);

    std::shared_ptr<const Model> model_;
    void* memoryInfo_ = nullptr;
    std::vector<float> spectrum_, carrier_, restored_, recent_;
    std::vector<std::vector<float>> states_[2];
    std::vector<const char*> inputNames_, outputNames_;
    std::vector<void*> inputs_[2], outputs_[2];  // for each parity
};

}  // namespace apollo
