#include "restorer.hpp"

#include <cmath>

#include "flush_to_zero.hpp"

namespace apollo {

Restorer::Restorer(const Framing& framing, double sampleRate)
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

int Restorer::latencyAt(const Framing& framing, double sampleRate) {
    const double ratio = sampleRate / framing.sampleRate;
    const int before = Resampler::halfLength(sampleRate, framing.sampleRate);
    const int behind = Resampler::halfLength(framing.sampleRate, sampleRate);
    const int inside = framing.algorithmicLatency() + framing.hopLength + behind;
    return before + static_cast<int>(std::ceil(inside * ratio - 1e-9));
}

void Restorer::set(int index, double value) {
    const ParameterRow& row = PARAMETERS[index];
    const double held = std::min(std::max(value, row.minimum), row.maximum);  // NaN becomes the minimum
    values_[index] = row.isSwitch ? held >= 0.5 : held;
}

void Restorer::reset() {
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

void Restorer::process(const float* const* inputs, float* const* outputs, int nChannels, int count) {
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

void Restorer::take(const float* const* inputs, int nChannels, int begin, int count) {
    for (int channel = 0; channel < 2; ++channel) {
        const float* input = inputs[std::min(channel, nChannels - 1)] + begin;
        for (int n = 0; n < count; ++n)
            input_[2 * n + channel] = isAudio(input[n]) ? input[n] : 0.0f;
    }
}

void Restorer::feed(const ShapingTargets& wanted, int count) {
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

void Restorer::fetch(int count) {
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

void Restorer::mix(int count) {
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

void Restorer::delay(int count) {
    for (int n = 0; n < 2 * count; ++n) {
        dry_[n] = held_[heldPlace_];
        held_[heldPlace_] = input_[n];
        heldPlace_ = heldPlace_ + 1 == held_.size() ? 0 : heldPlace_ + 1;
    }
}

void Restorer::give(float* const* outputs, int nChannels, int begin, int count) {
    for (int n = 0; n < count; ++n) {
        const float left = output_[2 * n], right = output_[2 * n + 1];
        outputs[0][begin + n] = nChannels == 1 ? 0.5f * (left + right) : left;
        if (nChannels > 1)
            outputs[1][begin + n] = right;
    }
}

}  // namespace apollo
