// Shaping: how much of what the model changed is taken, bin by bin; as apollo_rt/stream/shaping.py.
//
//   frame = dry + weight * (restored - dry)
//   weight = above the crossover * (share * strength + (1 - share) * air)
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "fourier.hpp"
#include "framing.hpp"
#include "parameters.hpp"

namespace apollo {

// What the user wants of a hop: strength, air as a factor, crossover in Hz.
struct ShapingTargets {
    double strength = 1, air = 1, crossoverHz = PARAMETERS[CROSSOVER_HZ].minimum;

    static ShapingTargets of(const double* values) {
        const double airDb = values[AIR_DB];
        return {values[STRENGTH], airDb > PARAMETERS[AIR_DB].minimum ? std::pow(10.0, airDb / 20) : 0.0,
                values[CROSSOVER_HZ]};
    }
};

class Shaping {
  public:
    explicit Shaping(const Framing& framing)
        : binHz_(static_cast<double>(framing.sampleRate) / framing.analysisLength), nBins_(framing.nBins()),
          powerDry_(nBins_), powerRestored_(nBins_) {}

    void reset() {
        std::fill(powerDry_.begin(), powerDry_.end(), 0.0f);
        std::fill(powerRestored_.begin(), powerRestored_.end(), 0.0f);
    }

    // Weigh one frame in place, (2, bins). With `isFirst` nothing was heard before, so that nothing has to glide.
    void shape(const ShapingTargets& wanted, const Bin* dry, Bin* restored, bool isFirst) {
        const bool wasNeutral = isNeutral();
        move(wanted, isFirst);
        if (isNeutral()) {
            if (!wasNeutral)
                reset();
            return;
        }
        const auto strength = static_cast<float>(now_.strength), air = static_cast<float>(now_.air);
        const double crossover = now_.crossoverHz, slope = 1 / std::max(kSlope * crossover, kLeastSlopeBins * binHz_);
        for (int k = 0; k < nBins_; ++k) {
            const float share = shareOf(dry, restored, k);
            float weight = share * strength + (1.0f - share) * air;
            if (crossover > kOffHz)
                weight *= static_cast<float>(std::min(std::max((k * binHz_ - crossover) * slope, 0.0), 1.0));
            for (int channel = 0; channel < 2; ++channel) {
                const int place = channel * nBins_ + k;
                restored[place] = dry[place] + weight * (restored[place] - dry[place]);
            }
        }
    }

  private:
    // A hop's longest steps: the whole range takes 12, 16 and 20 hops.
    static constexpr double kStrengthStep = 1.0 / 8, kAirStep = 1.0 / 4, kCrossoverStep = 1.4142135623730951;
    static constexpr double kSlope = 0.25, kLeastSlopeBins = 2;
    static constexpr double kOffHz = PARAMETERS[CROSSOVER_HZ].minimum;
    static constexpr float kForgetting = 1.0f / 16, kTiny = 1e-20f;

    bool isNeutral() const { return now_.strength == 1 && now_.air == 1 && now_.crossoverHz <= kOffHz; }

    // How much of a bin's restored power was there before, averaged over about 16 hops.
    float shareOf(const Bin* dry, const Bin* restored, int k) {
        float powerDry = 0, powerRestored = 0;
        for (int channel = 0; channel < 2; ++channel) {
            powerDry += std::norm(dry[channel * nBins_ + k]);
            powerRestored += std::norm(restored[channel * nBins_ + k]);
        }
        powerDry_[k] += kForgetting * (powerDry - powerDry_[k]);
        powerRestored_[k] += kForgetting * (powerRestored - powerRestored_[k]);
        return std::min(powerDry_[k] / std::max(powerRestored_[k], kTiny), 1.0f);
    }

    void move(const ShapingTargets& wanted, bool atOnce) {
        step(now_.strength, wanted.strength, kStrengthStep, atOnce);
        step(now_.air, wanted.air, kAirStep, atOnce);
        const double ratio = wanted.crossoverHz / now_.crossoverHz;
        if (atOnce || (1 / kCrossoverStep <= ratio && ratio <= kCrossoverStep))
            now_.crossoverHz = wanted.crossoverHz;
        else
            now_.crossoverHz *= ratio > 1 ? kCrossoverStep : 1 / kCrossoverStep;
    }

    static void step(double& value, double wanted, double longest, bool atOnce) {
        const double far = wanted - value;
        value = atOnce || std::fabs(far) <= longest ? wanted : value + (far > 0 ? longest : -longest);
    }

    double binHz_;
    int nBins_;
    ShapingTargets now_;
    std::vector<float> powerDry_, powerRestored_;
};

}  // namespace apollo
