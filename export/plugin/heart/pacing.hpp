// Pacing tells a live host from one that renders, by how fast its samples arrive, and says how long a late hop may be
// waited for. No format's off-line flag comes through all hosts; time comes through all of them.
//
//   live       samples arrive no faster than they last, and the host is away in between, with its device: wait for a
//              part of the block, then dry covers
//   rendering  samples arrive faster, or at once after those before: who renders can wait, and gets the same bits
//
// So a machine on which we ourselves are too slow for real time still renders the same bits. A host that has just
// begun, or begins again after a pause, hasn't shown which it is: it counts as rendering, but isn't held for as long.
// One that renders slower than real time for other reasons counts as live, and leaves the worker more time than that.
#pragma once

#include <algorithm>
#include <cstdint>

namespace apollo {

class Pacing {
  public:
    explicit Pacing(double sampleRate) : sampleRate_(sampleRate) {}

    void reset() { *this = Pacing(sampleRate_); }

    // A call begins, at `nowNs` of a steady clock, with so many samples.
    void begin(int64_t nowNs, int count) {
        const int64_t blockNs = toNs(count);
        if (!hasBegun_ || nowNs - lastNs_ > kPauseNs + 4 * longestNs_) {
            hasBegun_ = true;
            longestNs_ = blockNs;
            older_ = newer_ = {nowNs, 0, 0};
            arrivedNs_ = insideNs_ = 0;
        }
        longestNs_ = std::max(longestNs_, blockNs);
        if (nowNs - newer_.atNs > kWindowNs) {  // look back over one or two windows, not over hours
            older_ = newer_;
            newer_ = {nowNs, arrivedNs_, insideNs_};
        }
        const auto arrived = static_cast<double>(arrivedNs_ - older_.arrivedNs);
        const auto elapsed = static_cast<double>(nowNs - older_.atNs);
        const double away = elapsed - static_cast<double>(insideNs_ - older_.insideNs);
        isKnown_ = arrived > 0;
        isLive_ = isKnown_ && elapsed >= kLiveShare * arrived && away >= kAwayShare * arrived;
        deadlineNs_ = nowNs + (isLive_ ? static_cast<int64_t>(kBlockShare * static_cast<double>(blockNs))
                                       : (isKnown_ ? kRenderingWaitNs : kFirstWaitNs));
        arrivedNs_ += blockNs;
        beganNs_ = nowNs;
    }

    // The call ends.
    void end(int64_t nowNs) {
        insideNs_ += nowNs - beganNs_;
        lastNs_ = nowNs;
    }

    bool isLive() const { return isLive_; }

    // Until when this call may wait. While rendering it is one hop's longest wait, counted from each hop anew.
    int64_t deadlineNs(int64_t nowNs) const {
        return isLive_ ? deadlineNs_ : std::max(deadlineNs_, nowNs + (isKnown_ ? kRenderingWaitNs : kFirstWaitNs));
    }

  private:
    struct Mark {
        int64_t atNs = 0, arrivedNs = 0, insideNs = 0;
    };

    // A live host keeps the time of a device, to a few blocks of jitter and a clock's tenth of a percent.
    static constexpr double kLiveShare = 0.9;
    // While live, at most kBlockShare of a block is spent inside; when rendering next to all of it.
    static constexpr double kAwayShare = 0.25;
    // Of a block's time. Where a block is longer than a hop, its hops come all at once, and even a punctual worker
    // needs its load's share of the block for them: 13 % on the machine of the README, thrice as much on a slow one.
    static constexpr double kBlockShare = 0.5;
    static constexpr int64_t kWindowNs = 1000000000, kPauseNs = 100000000;
    static constexpr int64_t kFirstWaitNs = 2000000000, kRenderingWaitNs = 30000000000;

    int64_t toNs(int count) const { return static_cast<int64_t>(count * 1e9 / sampleRate_); }

    double sampleRate_;
    bool hasBegun_ = false, isKnown_ = false, isLive_ = false;
    int64_t beganNs_ = 0, lastNs_ = 0, longestNs_ = 0, arrivedNs_ = 0, insideNs_ = 0, deadlineNs_ = 0;
    Mark older_, newer_;
};

}  // namespace apollo
