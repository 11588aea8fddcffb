// Restorer: what every plugin format wraps. Any block in, as many samples out, `latency()` samples later, at any rate.
//
//  host's samples -> guard -> resampler -> hops -> worker (a thread) -> hops -> resampler -> wet -.
//                       '----------------- dry, delayed by the latency -----------------------> mixer -> out
//
// The latency is what the stream itself takes, both resamplers, and one hop of headroom: the time that the worker has
// for a hop, less the FADE_LENGTH samples that a fade to dry needs.
#pragma once

#include <atomic>
#include <cmath>
#include <memory>
#include <vector>

#include "mixer.hpp"
#include "pacing.hpp"
#include "resampler.hpp"
#include "worker.hpp"

namespace apollo {

class Restorer {
  public:
    // Until it is equipped the input passes, equally late.
    Restorer(const Framing& framing, double sampleRate);

    // Samples by which the output lags, at the host's rate.
    static int latencyAt(const Framing& framing, double sampleRate);

    int latency() const { return latency_; }

    // --- outside the audio path, while nobody processes ---

    // Give it what restores.
    void equip(std::unique_ptr<HopProcessor> processor) {
        worker_ = std::make_unique<Worker>(std::move(processor), framing_);
    }
    bool isEquipped() const { return worker_ != nullptr; }

    // Its thread begins and ends.
    void start() {
        if (worker_)
            worker_->start();
    }
    void stop() {
        if (worker_)
            worker_->stop();
    }

    // --- from any thread ---

    // What is out of bounds is held at them.
    void set(int index, double value);
    double get(int index) const { return values_[index]; }

    // Samples since the reset that had to be dry though the user wanted wet: their hops were late.
    int64_t covered() const { return covered_; }

    // --- in the host's thread of audio: no allocation, no lock, no system call but where a late hop is waited for ---

    // What the host says of itself; without a word it is told by its pace.
    void tell(Pacing::Word word) { pacing_.tell(word); }

    // Forget everything: equals a new one.
    void reset();

    // One channel or two, each a buffer of its own; outputs may be the inputs.
    void process(const float* const* inputs, float* const* outputs, int nChannels, int count);

  private:
    static constexpr int kSlice = 256;

    int longestConverted() const { return static_cast<int>(kSlice * framing_.sampleRate / sampleRate_) + 2; }

    // Interleave what comes in, silence in place of what is no audio; one channel is doubled.
    void take(const float* const* inputs, int nChannels, int begin, int count);

    // Hand the worker every hop that becomes full.
    void feed(const ShapingTargets& wanted, int count);

    // See to it that so many wet samples can be pulled, waiting for the worker as long as the pacing allows. In place
    // of a hop that isn't there silence is pushed, and no sample that it touches is played.
    void fetch(int count);

    // Wet and dry of one slice; stretches are either there as a whole or missing as a whole.
    void mix(int count);

    // The dry samples that belong to these wet ones.
    void delay(int count);

    void give(float* const* outputs, int nChannels, int begin, int count);

    Framing framing_;
    double sampleRate_;
    int latency_;
    Resampler toModel_, toHost_;
    Pacing pacing_;
    Mixer mixer_;
    std::vector<float> filling_, converted_, input_, wet_, output_, dry_, held_;
    size_t heldPlace_ = 0;
    int nFilled_ = 0;
    int64_t nextHop_ = 0, nextResult_ = 0, played_ = 0, missingFrom_ = 0, missingUntil_ = 0;
    std::atomic<int64_t> covered_{0};
    std::atomic<double> values_[N_PARAMETERS];
    bool isFresh_ = true, isFirstHop_ = true;
    std::unique_ptr<Worker> worker_;
};

}  // namespace apollo
