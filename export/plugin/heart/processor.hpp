// The processor: one hop in, one hop out; no threads, no devices, no clock; as apollo_rt/stream/processor.py.
//
// hop -> analyse -> spectrum -> model step -> restored -> guard -> synthesise -> hop
//                      '-> frames (dry, as old as restored) --^ shape
#pragma once

#include <memory>
#include <stdexcept>
#include <utility>

#include "flush_to_zero.hpp"
#include "frames.hpp"
#include "model.hpp"
#include "shaping.hpp"

namespace apollo {

// What turns a hop into a hop; tests put a slow one in the place of the processor.
class HopProcessor {
  public:
    virtual ~HopProcessor() = default;
    // Interleaved; true where the model's own frame was taken.
    virtual bool process(const float* hopIn, const ShapingTargets& wanted, float* hopOut) = 0;
    virtual void reset() = 0;
};

class Processor : public HopProcessor {
  public:
    explicit Processor(std::shared_ptr<const Model> model)
        : card_(model->card()), nBins_(card_.framing.nBins()), analysis_(card_.framing), synthesis_(card_.framing),
          shaping_(card_.framing), step_(std::move(model)), frames_((card_.framing.lookaheadFrames + 1) * 2 * nBins_) {
        // Of white noise, each bin has the variance times the window's energy (Parseval); two channels.
        quiet_ = static_cast<float>(2 * nBins_ * kQuietRms * kQuietRms * analysis_.windowEnergy());
        const FlushToZero flushed;
        if (!step_.run(0))
            throw std::runtime_error("the model's graph can't be run");
        reset();
    }

    bool process(const float* hopIn, const ShapingTargets& wanted, float* hopOut) override {
        const FlushToZero flushed;
        const int frameSize = 2 * nBins_, nFrames = card_.framing.lookaheadFrames + 1;
        analysis_.analyse(hopIn, step_.spectrum());
        analysis_.copyRecent(step_.recent(), card_.recentSamples);
        if (card_.hasCarrier)
            fillCarrier(frame_, step_.carrier(), nBins_);
        std::copy_n(step_.spectrum(), frameSize, frames_.data() + frame_ % nFrames * frameSize);
        const Bin* dry = frames_.data() + (frame_ + 1) % nFrames * frameSize;
        const bool isGood = step_.run(static_cast<int>(frame_ & 1)) && isPlausible(dry);
        if (!isGood) {
            step_.forgetStates();
            dryFramesLeft_ = nFrames;  // what follows from fresh states lacks the lookahead, too
        }
        if (dryFramesLeft_ > 0) {
            --dryFramesLeft_;
            std::copy_n(dry, frameSize, step_.restored());
        } else {
            shaping_.shape(wanted, dry, step_.restored(), frame_ == 0);
        }
        synthesis_.synthesise(step_.restored(), hopOut);
        ++frame_;
        return isGood;
    }

    void reset() override {
        analysis_.reset();
        synthesis_.reset();
        shaping_.reset();
        step_.forgetStates();
        std::fill(frames_.begin(), frames_.end(), Bin());
        frame_ = dryFramesLeft_ = 0;
    }

  private:
    // A restored frame may have 1000 times (30 dB) the energy of what came in, or of noise at -60 dBFS where that is
    // more: the model fills in what a codec took, which is never more than a few dB.
    static constexpr float kPlausibleRatio = 1000;
    static constexpr double kQuietRms = 1e-3;

    // Finite, and no louder than a restored frame can be; NaN fails the comparison.
    bool isPlausible(const Bin* dry) {
        float before = 0, after = 0;
        for (int place = 0; place < 2 * nBins_; ++place) {
            before += std::norm(dry[place]);
            after += std::norm(step_.restored()[place]);
        }
        return after <= kPlausibleRatio * std::max(before, quiet_);
    }

    Card card_;
    int nBins_;
    Analysis analysis_;
    Synthesis synthesis_;
    Shaping shaping_;
    Step step_;
    std::vector<Bin> frames_;  // the newest lookahead + 1 spectra
    float quiet_ = 0;
    int64_t frame_ = 0, dryFramesLeft_ = 0;
};

}  // namespace apollo
