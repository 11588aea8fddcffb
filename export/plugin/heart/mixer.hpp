// Mixer: wet and dry, crossfaded per sample by one gain; low cut and gain behind it; as apollo_rt/stream/mixer.py.
//
// Bypass, mix, a missing hop and its recovery all move the same gain, by at most 1 / FADE_LENGTH per sample. It reaches
// 0 with the last wet sample, so that a miss never steps.
#pragma once

#include <algorithm>
#include <cmath>

#include "parameters.hpp"
#include "sample_guard.hpp"

namespace apollo {

class Mixer {
  public:
    // Take what the user wants, once per block; a mixer that `begins` stands there at once.
    void readTargets(const double* values, bool begins) {
        const bool isOn = values[BYPASS] == 0;
        const double gainDb = values[OUTPUT_GAIN_DB], lowCut = values[LOW_CUT_HZ];
        wantedWet_ = isOn ? values[MIX] : 0;
        wantedDelta_ = isOn ? values[DELTA] : 0;
        wantedGain_ = isOn && gainDb != 0 ? std::pow(10.0, gainDb / 20) : 1;
        wantedCut_ = isOn && lowCut > kOffHz ? lowCut : 0;
        if (!begins)
            return;
        wet_ = wantedWet_, delta_ = wantedDelta_, gain_ = wantedGain_;
        cut_ = wantedCut_ > 0 ? wantedCut_ : kOffHz, cutShare_ = wantedCut_ > 0;
        std::fill(filter_, filter_ + 4, 0.0);
    }

    // Mix one stretch, interleaved; at a gain of exactly 0 or 1 a signal passes bit for bit. `nWet` wet samples are
    // there from the stretch's begin on, those behind it included; 0 if its first is missing (then none is there).
    // Returns in how many samples the target was out of reach.
    int crossfade(const float* dry, const float* wet, int nWet, float* out, int count) {
        int covered = 0;
        for (int n = 0; n < count; ++n) {
            const double limit = std::max(nWet - n, 0) * kStep;
            wet_ = std::min(approached(wet_, wantedWet_, kStep), limit);
            delta_ = approached(delta_, wantedDelta_, kStep);
            covered += limit < wantedWet_;
            const double dryGain = (1.0 - delta_) - wet_;
            for (int place = 2 * n; place < 2 * n + 2; ++place) {
                if (wet_ == 0 && delta_ == 0)
                    out[place] = dry[place];
                else if (wet_ == 0)
                    out[place] = static_cast<float>(dryGain * dry[place]);
                else
                    out[place] = static_cast<float>(wet_ * wet[place] + dryGain * dry[place]);
            }
        }
        return covered;
    }

    // Low cut and output gain, in place; touches nothing where both are off. The filter: Simper, "Solving the
    // continuous SVF equations using trapezoidal integration and equivalent currents", Cytomic, 2013.
    void finish(float* block, int count, double sampleRate) {
        if (wantedCut_ == 0 && cutShare_ == 0 && wantedGain_ == 1 && gain_ == 1)
            return;
        if (cutShare_ == 0 && wantedCut_ > 0)
            cut_ = wantedCut_;
        double warped = std::tan(M_PI * cut_ / sampleRate);
        for (int n = 0; n < count; ++n) {
            gain_ = approached(gain_, wantedGain_, kSlowStep);
            cutShare_ = approached(cutShare_, wantedCut_ > 0 ? 1 : 0, kSlowStep);
            if (wantedCut_ > 0 && cut_ != wantedCut_) {
                cut_ = approached(cut_, wantedCut_, kCutStepHz);
                warped = std::tan(M_PI * cut_ / sampleRate);
            }
            for (int channel = 0; channel < 2; ++channel) {
                float& sample = block[2 * n + channel];
                if (!isAudio(sample))
                    continue;
                const double high = cutShare_ > 0 ? highPassed(filter_ + 2 * channel, warped, sample) : 0;
                sample = static_cast<float>(gain_ * (sample + cutShare_ * (high - sample)));
            }
        }
        for (double& state : filter_)
            if (cutShare_ == 0 || std::fabs(state) < kNothing)
                state = 0;
    }

  private:
    static constexpr double kStep = 1.0 / FADE_LENGTH, kSlowStep = 1.0 / 512, kCutStepHz = 1;
    static constexpr double kOffHz = PARAMETERS[LOW_CUT_HZ].minimum;
    static constexpr double kDamping = 1.4142135623730951;  // Butterworth
    static constexpr double kNothing = 1e-60;  // far below any float: so small a state only costs denormals' time

    static double approached(double value, double target, double step) {
        return std::max(std::min(target, value + step), value - step);
    }

    static double highPassed(double* state, double warped, double sample) {
        const double scale = 1 / (1 + warped * (warped + kDamping));
        const double band = scale * (state[0] + warped * (sample - state[1])), low = state[1] + warped * band;
        state[0] = 2 * band - state[0];
        state[1] = 2 * low - state[1];
        return sample - kDamping * band - low;
    }

    double wantedWet_ = 1, wantedDelta_ = 0, wantedGain_ = 1, wantedCut_ = 0;
    double wet_ = 1, delta_ = 0, gain_ = 1, cut_ = kOffHz, cutShare_ = 0;
    double filter_[4] = {};  // two numbers for each channel
};

}  // namespace apollo
