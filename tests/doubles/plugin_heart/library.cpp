// The heart of the plugins as a shared library for the tests: what formats do, without a format, and a slow worker.
#include <chrono>
#include <cstdio>
#include <thread>

#include "model.hpp"
#include "processor.hpp"
#include "restorer.hpp"

using namespace apollo;

namespace {

std::atomic<int> hopDelayMs{0};

// Takes as long for a hop as a test wants.
class SlowProcessor : public HopProcessor {
  public:
    explicit SlowProcessor(std::unique_ptr<HopProcessor> inner) : inner_(std::move(inner)) {}
    bool process(const float* hopIn, const ShapingTargets& wanted, float* hopOut) override {
        if (const int ms = hopDelayMs)
            std::this_thread::sleep_for(std::chrono::milliseconds(ms));
        return inner_->process(hopIn, wanted, hopOut);
    }
    void reset() override { inner_->reset(); }

  private:
    std::unique_ptr<HopProcessor> inner_;
};

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED Restorer* restorer_new(const char* model, const char* runtime, double sampleRate) {
    try {
        const auto loaded = Model::at(model, runtime);
        auto restorer = std::make_unique<Restorer>(loaded->card().framing, sampleRate);
        restorer->equip(std::make_unique<SlowProcessor>(std::make_unique<Processor>(loaded)));
        restorer->start();
        return restorer.release();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return nullptr;
    }
}

EXPORTED void restorer_delete(Restorer* restorer) { delete restorer; }
EXPORTED int restorer_latency(const Restorer* restorer) { return restorer->latency(); }
EXPORTED void restorer_reset(Restorer* restorer) { restorer->reset(); }
EXPORTED void restorer_set(Restorer* restorer, int index, double value) { restorer->set(index, value); }
EXPORTED double restorer_get(const Restorer* restorer, int index) { return restorer->get(index); }
EXPORTED int64_t restorer_covered(const Restorer* restorer) { return restorer->covered(); }
EXPORTED void set_hop_delay_ms(int ms) { hopDelayMs = ms; }

EXPORTED void restorer_process(Restorer* restorer, const float* left, const float* right, float* leftOut, float* rightOut,
                      int count) {
    const float* inputs[] = {left, right};
    float* outputs[] = {leftOut, rightOut};
    restorer->process(inputs, outputs, right ? 2 : 1, count);
}
EXPORTED void pacing_live(const int64_t* beginsNs, const int64_t* endsNs, int* verdicts, int count, int block) {
    Pacing pacing(44100);
    for (int call = 0; call < count; ++call) {
        pacing.begin(beginsNs[call], block);
        verdicts[call] = pacing.isLive();
        pacing.end(endsNs[call]);
    }
}
