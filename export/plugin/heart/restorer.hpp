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
    Restorer(const Framing& framing, double sampleRate)
        : framing_(framing), sampleRate_(sampleRate), latency_(latencyAt(framing, sampleRate)),
          toModel_(sampleRate, framing.sampleRate, 0, kSlice),
          toHost_(framing.sampleRate, sampleRate, latency_ * framing.sampleRate / sampleRate - framing.hopDelay(),
                  framing.hopLength),
          pacing_(sampleRate), filling_(2 * framing.hopLength), converted_(2 * longestConverted()),
          input_(2 * kSlice), wet_(2 * kSlice), output_(2 * kSlice), dry_(2 * kSlice), held_(2 * latency_) {
        for (int index = 0; index < N_PARAMETERS; ++index)
            values_[index] = PARAMETERS[index].fallback;
        reset();
    }

    // Samples by which the output lags, at the host's rate.
    static int latencyAt(const Framing& framing, double sampleRate) {
        const double ratio = sampleRate / framing.sampleRate;
        const int before = Resampler::halfLength(sampleRate, framing.sampleRate);
        const int behind = Resampler::halfLength(framing.sampleRate, sampleRate);
        const int inside = framing.algorithmicLatency() + framing.hopLength + behind;
        return before + static_cast<int>(std::ceil(inside * ratio - 1e-9));
    }

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
    void set(int index, double value) {
        const ParameterRow& row = PARAMETERS[index];
        const double held = std::min(std::max(value, row.minimum), row.maximum);  // NaN becomes the minimum
        values_[index] = row.isSwitch ? held >= 0.5 : held;
    }
    double get(int index) const { return values_[index]; }

    // Samples since the reset that had to be dry though the user wanted wet: their hops were late.
    int64_t covered() const { return covered_; }

    // --- in the host's thread of audio: no allocation, no lock, no system call but where a late hop is waited for ---

    // What the host says of itself; without a word it is told by its pace.
    void tell(Pacing::Word word) { pacing_.tell(word); }

    // Forget everything: equals a new one.
    void reset() {
        toModel_.rewind();
        toHost_.rewind();
        pacing_.reset();
        std::fill(held_.begin(), held_.end(), 0.0f);
        heldPlace_ = nFilled_ = 0;
        played_ = missingFrom_ = missingUntil_ = 0;
        nextResult_ = nextHop_;  // what is still under way is older, and will be dropped
        covered_ = 0;
        isFresh_ = isFirstHop_ = true;
    }

    // One channel or two, each a buffer of its own; outputs may be the inputs.
    void process(const float* const* inputs, float* const* outputs, int nChannels, int count) {
        const FlushToZero flushed;
        double values[N_PARAMETERS];
        for (int index = 0; index < N_PARAMETERS; ++index)
            values[index] = values_[index];
        pacing_.begin(nowNs(), count);
        mixer_.readTargets(values, isFresh_);
        isFresh_ = isFresh_ && count == 0;
        for (int done = 0; done < count; done += kSlice) {
            const int n = std::min(kSlice, count - done);
            take(inputs, nChannels, done, n);
            feed(ShapingTargets::of(values), n);
            fetch(n + FADE_LENGTH);
            mix(n);
            give(outputs, nChannels, done, n);
        }
        pacing_.end(nowNs());
    }

  private:
    static constexpr int kSlice = 256;

    int longestConverted() const { return static_cast<int>(kSlice * framing_.sampleRate / sampleRate_) + 2; }

    // Interleave what comes in, silence in place of what is no audio; one channel is doubled.
    void take(const float* const* inputs, int nChannels, int begin, int count) {
        for (int channel = 0; channel < 2; ++channel) {
            const float* input = inputs[std::min(channel, nChannels - 1)] + begin;
            for (int n = 0; n < count; ++n)
                input_[2 * n + channel] = isAudio(input[n]) ? input[n] : 0.0f;
        }
    }

    // Hand the worker every hop that becomes full.
    void feed(const ShapingTargets& wanted, int count) {
        toModel_.push(input_.data(), count);
        const int ready = toModel_.ready();
        toModel_.pull(converted_.data(), ready);
        for (int done = 0; done < ready;) {
            const int n = std::min(framing_.hopLength - nFilled_, ready - done);
            std::copy_n(converted_.data() + 2 * done, 2 * n, filling_.data() + 2 * nFilled_);
            done += n, nFilled_ += n;
            if (nFilled_ < framing_.hopLength)
                continue;
            if (Hop* hop = worker_ ? worker_->free() : nullptr) {
                hop->number = nextHop_;
                hop->isFirst = isFirstHop_;
                hop->wanted = wanted;
                std::copy(filling_.begin(), filling_.end(), hop->samples.begin());
                worker_->publish();
                isFirstHop_ = false;
            }
            ++nextHop_;
            nFilled_ = 0;
        }
    }

    // See to it that so many wet samples can be pulled, waiting for the worker as long as the pacing allows. In place
    // of a hop that isn't there silence is pushed, and no sample that it touches is played.
    void fetch(int count) {
        while (toHost_.ready() < count) {
            bool isLost = !worker_ || nextResult_ >= nextHop_;
            const Hop* hop = isLost ? nullptr : worker_->waited(nextResult_, pacing_.deadlineNs(nowNs()), isLost);
            if (!hop) {
                const int64_t from = played_ + toHost_.ready();
                missingFrom_ = played_ < missingUntil_ ? std::min(missingFrom_, from) : from;
                missingUntil_ = played_ + toHost_.touching(toHost_.pushed() + framing_.hopLength);
            }
            toHost_.push(hop ? hop->samples.data() : nullptr, framing_.hopLength);
            if (hop)
                worker_->pop();
            ++nextResult_;
        }
    }

    // Wet and dry of one slice; stretches are either there as a whole or missing as a whole.
    void mix(int count) {
        const int nAhead = toHost_.ready();
        toHost_.pull(wet_.data(), count);
        delay(count);
        int64_t covered = 0;
        for (int done = 0; done < count;) {
            const int64_t at = played_ + done;
            int n = count - done, nWet = nAhead - done;
            if (at < missingUntil_ && at >= missingFrom_) {
                n = static_cast<int>(std::min<int64_t>(n, missingUntil_ - at));
                nWet = 0;
            } else if (at < missingFrom_) {
                nWet = static_cast<int>(missingFrom_ - at);
                n = std::min(n, nWet);
            }
            covered += mixer_.crossfade(dry_.data() + 2 * done, wet_.data() + 2 * done, nWet,
                                        output_.data() + 2 * done, n);
            done += n;
        }
        mixer_.finish(output_.data(), count, sampleRate_);
        played_ += count;
        covered_ += covered;
    }

    // The dry samples that belong to these wet ones.
    void delay(int count) {
        for (int n = 0; n < 2 * count; ++n) {
            dry_[n] = held_[heldPlace_];
            held_[heldPlace_] = input_[n];
            heldPlace_ = heldPlace_ + 1 == held_.size() ? 0 : heldPlace_ + 1;
        }
    }

    void give(float* const* outputs, int nChannels, int begin, int count) {
        for (int n = 0; n < count; ++n) {
            const float left = output_[2 * n], right = output_[2 * n + 1];
            outputs[0][begin + n] = nChannels == 1 ? 0.5f * (left + right) : left;
            if (nChannels > 1)
                outputs[1][begin + n] = right;
        }
    }

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
