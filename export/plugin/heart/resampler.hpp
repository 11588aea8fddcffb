// Conversion between two fixed rates by a windowed sinc in polyphase form; as apollo_rt/stream/resample.py.
//
// Output sample k is the input at `start + k * step`, to a fraction of a sample, so that the delay of a whole chain can
// be made a whole number of samples at any rate: no packaged resampler lets its caller choose that.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "parameters.hpp"

namespace apollo {

class Resampler {
  public:
    // At equal rates samples pass bit for bit, nothing has to lie behind a position, and delays are whole. The
    // position begins at -delay: the first sample to be pushed is number 0, silence comes before it.
    Resampler(double inRate, double outRate, double delay, int longestBlock)
        : half_(halfLength(inRate, outRate)), step_(inRate / outRate), delay_(delay),
          capacity_(4 * half_ + static_cast<int64_t>(delay) + 4 * longestBlock + 8), buffer_(2 * capacity_) {
        if (half_ > 0)
            tabulate(std::max(1.0, step_));
        rewind();
    }

    // Input samples that must be there behind a position: the least delay.
    static int halfLength(double inRate, double outRate) {
        return inRate == outRate ? 0 : static_cast<int>(std::ceil(ZERO_CROSSINGS * std::max(1.0, inRate / outRate)));
    }

    void rewind() {
        anchor_ = static_cast<int64_t>(std::floor(-delay_));
        fraction_ = -delay_ - static_cast<double>(anchor_);
        sincAnchor_ = 0;
        heldFrom_ = std::min<int64_t>(firstNeeded(anchor_), 0);
        heldTo_ = 0;
        std::fill(buffer_.begin(), buffer_.end(), 0.0f);
    }

    // Output samples that can be pulled.
    int ready() const { return readyBefore(heldTo_); }

    // Output samples from here on that need nothing at or behind input sample `end`.
    int readyBefore(int64_t end) const {
        int count = until(end - half_);
        while (count > 0 && wholeOf(count - 1) + half_ >= end)  // where rounding went the other way
            --count;
        return count;
    }

    // Output samples from here on that touch anything before input sample `begin`.
    int touching(int64_t begin) const { return until(begin + std::max(half_ - 1, 0)) + (half_ > 0); }

    int64_t pushed() const { return heldTo_; }

    // Take the next input samples, interleaved, at most `longestBlock`; null stands for silence.
    void push(const float* block, int count) {
        if (heldTo_ - heldFrom_ + count > capacity_)
            forgetPast();
        for (int channel = 0; channel < 2; ++channel) {
            float* held = buffer_.data() + channel * capacity_ + (heldTo_ - heldFrom_);
            for (int n = 0; n < count; ++n)
                held[n] = block ? block[2 * n + channel] : 0.0f;
        }
        heldTo_ += count;
    }

    // The next output samples, interleaved; what they need must have been pushed.
    void pull(float* out, int count) {
        for (int n = 0; n < count; ++n) {
            const double offset = fraction_ + static_cast<double>(sincAnchor_) * step_;
            const double whole = std::floor(offset);
            filter(anchor_ + static_cast<int64_t>(whole), offset - whole, out + 2 * n);
            advance();
        }
    }

  private:
    static constexpr int kPhases = 256;  // per sample of the lower rate; -105 dB of error (measured in Python)
    static constexpr double kStopbandDb = 104;  // of the Kaiser window (Kaiser, 1974)
    // Positions are counted from an anchor, by a product and not by a sum, so that they do not depend on how the
    // stream is cut; the anchor moves on now and then, so that the product stays small and exact.
    static constexpr int64_t kAnchorEvery = 1 << 20;

    // The table; every row has a gain of 1 at 0 Hz.
    void tabulate(double squeeze) {
        nPhases_ = static_cast<int>(std::ceil(kPhases / squeeze));
        const double width = (kStopbandDb - 7.95) / (14.36 * 2 * half_), cutoff = 0.5 / squeeze - width / 2;
        const double beta = 0.1102 * (kStopbandDb - 8.7);
        const int taps = 2 * half_;
        kernel_.resize(static_cast<size_t>(nPhases_ + 1) * taps);
        std::vector<double> row(taps);
        for (int phase = 0; phase <= nPhases_; ++phase) {
            double sum = 0;
            for (int tap = 0; tap < taps; ++tap) {
                const double time = 1 - half_ + tap - static_cast<double>(phase) / nPhases_, far = time / half_;
                const double angle = M_PI * 2 * cutoff * time, sinc = angle == 0 ? 1 : std::sin(angle) / angle;
                row[tap] = sinc * bessel(beta * std::sqrt(std::max(1 - far * far, 0.0)));
                sum += row[tap];
            }
            for (int tap = 0; tap < taps; ++tap)
                kernel_[static_cast<size_t>(phase) * taps + tap] = static_cast<float>(row[tap] / sum);
        }
    }

    // Modified Bessel function of order 0 by its power series: Abramowitz & Stegun, 9.6.12. (Not every C++ library
    // has std::cyl_bessel_i.)
    static double bessel(double x) {
        double sum = 1, term = 1;
        for (int k = 1; term > 1e-17 * sum; ++k)
            sum += term *= x * x / (4.0 * k * k);
        return sum;
    }

    int64_t firstNeeded(int64_t whole) const { return half_ > 0 ? whole - half_ + 1 : whole; }

    // Whole part of the position of the output sample `count` from here.
    int64_t wholeOf(int count) const {
        return anchor_ + static_cast<int64_t>(std::floor(fraction_ + static_cast<double>(sincAnchor_ + count) * step_));
    }

    // Output samples from here on whose position lies before `place`.
    int until(int64_t place) const {
        const double room = static_cast<double>(place - anchor_) - fraction_;
        return std::max(static_cast<int>(std::ceil(room / step_) - static_cast<double>(sincAnchor_)), 0);
    }

    void advance() {
        if (++sincAnchor_ < kAnchorEvery)
            return;
        const double offset = fraction_ + static_cast<double>(kAnchorEvery) * step_, whole = std::floor(offset);
        anchor_ += static_cast<int64_t>(whole);
        fraction_ = offset - whole;
        sincAnchor_ = 0;
    }

    // Both channels at one position, through the filter that lies between two rows of the table.
    void filter(int64_t whole, double fraction, float* out) const {
        const float* left = buffer_.data() + (firstNeeded(whole) - heldFrom_);
        const float* right = left + capacity_;
        if (half_ == 0) {
            out[0] = *left, out[1] = *right;
            return;
        }
        const double phase = fraction * nPhases_;
        const int index = std::min(static_cast<int>(phase), nPhases_ - 1), taps = 2 * half_;
        const auto share = static_cast<float>(phase - index);
        const float *row = kernel_.data() + static_cast<size_t>(index) * taps, *next = row + taps;
        float sums[2][4] = {};  // four apart, so that no addition waits for the one before
        for (int tap = 0; tap < taps; ++tap) {
            const float weight = row[tap] + share * (next[tap] - row[tap]);
            sums[0][tap & 3] += weight * left[tap];
            sums[1][tap & 3] += weight * right[tap];
        }
        for (int channel = 0; channel < 2; ++channel)
            out[channel] = (sums[channel][0] + sums[channel][1]) + (sums[channel][2] + sums[channel][3]);
    }

    // Move what positions still need to the buffer's begin.
    void forgetPast() {
        const int64_t begin = std::min(firstNeeded(wholeOf(0)), heldTo_), gone = begin - heldFrom_;
        if (gone <= 0)
            return;
        for (int channel = 0; channel < 2; ++channel) {
            float* held = buffer_.data() + channel * capacity_;
            std::copy(held + gone, held + (heldTo_ - heldFrom_), held);
        }
        heldFrom_ = begin;
    }

    int half_;
    double step_, delay_;
    int64_t capacity_;
    std::vector<float> kernel_, buffer_;
    int nPhases_ = 0;
    int64_t anchor_ = 0, sincAnchor_ = 0, heldFrom_ = 0, heldTo_ = 0;
    double fraction_ = 0;
};

}  // namespace apollo
