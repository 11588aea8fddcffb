// Frames: windows, analysis, carrier and synthesis; as apollo_rt/stream/stft.py, in the same order.
//
//        hop (H, 2) -> past (2, N) -> x window -> FFT  -> spectrum (2, bins)      Analysis
// frame number (int64) -> hash -> noise of unit variance -> carrier (2, bins)     fillCarrier
//  spectrum (2, bins) -> inverse FFT -> last 2H x window -> + tail -> hop (H, 2)  Synthesis
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "fourier.hpp"
#include "framing.hpp"
#include "sample_guard.hpp"

namespace apollo {

// A long analysis window that ends with a short fall, and a synthesis window of two hops; their product is sin^2.
struct Windows {
    explicit Windows(const Framing& framing) : analysis(framing.analysisLength), synthesis(framing.synthesisLength()) {
        const int N = framing.analysisLength, H = framing.hopLength;
        std::vector<double> exact(N);
        for (int n = 0; n < N - H; ++n)
            exact[n] = std::sin(M_PI / 2 * (n + 0.5) / (N - H));
        for (int n = 0; n < H; ++n)
            exact[N - H + n] = std::cos(M_PI / 2 * (n + 0.5) / H);
        std::copy(exact.begin(), exact.end(), analysis.begin());
        for (int n = 0; n < 2 * H; ++n) {
            const double root = std::sin(M_PI * (n + 0.5) / (2 * H));
            synthesis[n] = static_cast<float>(root * root / exact[N - 2 * H + n]);
        }
    }

    std::vector<float> analysis, synthesis;
};

class Analysis {
  public:
    explicit Analysis(const Framing& framing)
        : length_(framing.analysisLength), hop_(framing.hopLength), window_(Windows(framing).analysis),
          past_(2 * length_), windowed_(length_), fourier_(length_) {}

    // Take one hop in, interleaved, and write the spectrum of the newest samples, (2, bins).
    void analyse(const float* hop, Bin* spectrum) {
        const int kept = length_ - hop_;
        for (int channel = 0; channel < 2; ++channel) {
            float* past = past_.data() + channel * length_;
            std::memmove(past, past + hop_, kept * sizeof(float));
            for (int n = 0; n < hop_; ++n)
                past[kept + n] = isAudio(hop[2 * n + channel]) ? hop[2 * n + channel] : 0.0f;
            for (int n = 0; n < length_; ++n)
                windowed_[n] = past[n] * window_[n];
            fourier_.toBins(windowed_.data(), spectrum + channel * (length_ / 2 + 1));
        }
    }

    // The newest samples as they came in, (2, count).
    void copyRecent(float* recent, int count) const {
        for (int channel = 0; channel < 2; ++channel)
            std::copy_n(past_.data() + (channel + 1) * length_ - count, count, recent + channel * count);
    }

    double windowEnergy() const {
        double energy = 0;
        for (const float value : window_)
            energy += static_cast<double>(value) * value;
        return energy;
    }

    void reset() { std::fill(past_.begin(), past_.end(), 0.0f); }

  private:
    int length_, hop_;
    std::vector<float> window_, past_, windowed_;
    Fourier fourier_;
};

class Synthesis {
  public:
    explicit Synthesis(const Framing& framing)
        : length_(framing.analysisLength), hop_(framing.hopLength), window_(Windows(framing).synthesis),
          tail_(2 * hop_), samples_(length_), fourier_(length_) {}

    // Add one frame, (2, bins), and write the hop that it completes, interleaved.
    void synthesise(const Bin* spectrum, float* hop) {
        const float scale = 1.0f / length_;
        for (int channel = 0; channel < 2; ++channel) {
            fourier_.toSamples(spectrum + channel * (length_ / 2 + 1), samples_.data());
            const float *older = samples_.data() + length_ - 2 * hop_, *newer = older + hop_;
            float* tail = tail_.data() + channel * hop_;
            for (int n = 0; n < hop_; ++n) {
                hop[2 * n + channel] = tail[n] + scale * older[n] * window_[n];
                tail[n] = scale * newer[n] * window_[hop_ + n];
            }
        }
    }

    void reset() { std::fill(tail_.begin(), tail_.end(), 0.0f); }

  private:
    int length_, hop_;
    std::vector<float> window_, tail_, samples_;
    Fourier fourier_;
};

// SplitMix64: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 17.
constexpr uint64_t kGoldenGamma = 0x9E3779B97F4A7C15u;

inline uint64_t mixed(uint64_t state) {
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
    state = (state ^ (state >> 27)) * 0x94D049BB133111EBu;
    return state ^ (state >> 31);
}

// The noise of one frame, `hash-uniform-1` with seed 0: both parts of a bin uniform in +-sqrt(1.5), so E|z|^2 = 1.
inline void fillCarrier(int64_t frame, Bin* carrier, int nBins) {
    static const float scale = static_cast<float>(std::sqrt(1.5) / 2147483648.0);
    for (int channel = 0; channel < 2; ++channel) {
        uint64_t state = mixed(mixed(kGoldenGamma) ^ (static_cast<uint64_t>(frame) * 2 + channel));
        for (int k = 0; k < nBins; ++k) {
            state += kGoldenGamma;
            const uint64_t bits = mixed(state);
            carrier[channel * nBins + k] =
                Bin(static_cast<float>(static_cast<int32_t>(bits >> 32)) * scale,
                    static_cast<float>(static_cast<int32_t>(bits & 0xFFFFFFFFu)) * scale);
        }
    }
}

}  // namespace apollo
