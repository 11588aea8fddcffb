// Pacing tells a live host from one that renders, and says how long a late hop may be waited for.
//
// Formats that have a flag for it say so (`tell`). LADSPA has none, and few hosts set the others, so without a word it
// is told by time. A live host is away between its calls, with its device; one that renders comes back at once:
//
//   live       calls  ##      ##      ##      bursts of calls, each followed by a gap of its own order, and samples
//                                             that arrive no faster than they last
//   rendering  calls  ########################################
//
// Live, a late hop is waited for during a part of the block, and covered by dry after that. Who renders can wait, and
// gets the same bits each time, also from a machine on which this is slower than real time. Before some bursts nothing
// is known: it counts as rendering, but isn't waited for as long. Renders that other plugins slow down until they look
// live leave the worker more time than a live host does.
#pragma once

#include <algorithm>
#include <cstdint>

namespace apollo {

class Pacing {
  public:
    enum Word { kNone, kLive, kRendering };

    explicit Pacing(double sampleRate) : sampleRate_(sampleRate) {}

    // What the host says itself.
    void tell(Word word) { word_ = word; }

    void reset() {
        const Word word = word_;
        *this = Pacing(sampleRate_);
        word_ = word;
    }

    // A call begins, at `nowNs` of a steady clock, with so many samples.
    void begin(int64_t nowNs, int count) {
        const auto blockNs = static_cast<int64_t>(count * 1e9 / sampleRate_);
        const int64_t gapNs = nowNs - endedNs_;
        longestNs_ = std::max(longestNs_, blockNs);
        if (!hasBegun_ || gapNs > kPauseNs + 4 * longestNs_)
            *this = begun(nowNs, blockNs);
        else if (gapNs >= std::min(kGapNs, lastBlockNs_ / 4))
            closeBurst(gapNs);
        if (nowNs - newer_.atNs > kWindowNs) {  // look back over one or two windows, not over hours
            older_ = newer_;
            newer_ = {nowNs, arrivedNs_, pacedNs_};
        }
        judge(nowNs);
        const double share = isLive_ ? kBlockShare : 0;
        deadlineNs_ = nowNs + static_cast<int64_t>(share * static_cast<double>(blockNs));
        arrivedNs_ += blockNs;
        burstNs_ += blockNs;
        lastBlockNs_ = blockNs;
    }

    // The call ends.
    void end(int64_t nowNs) { endedNs_ = nowNs; }

    bool isLive() const { return isLive_; }

    // Until when this call may wait for a hop, asked at `nowNs`.
    int64_t deadlineNs(int64_t nowNs) const {
        if (isLive_)
            return deadlineNs_;
        return nowNs + (word_ == kRendering || nBursts_ >= kFewBursts ? kRenderingWaitNs : kFirstWaitNs);
    }

  private:
    struct Mark {
        int64_t atNs = 0, arrivedNs = 0, pacedNs = 0;
    };

    // A live host keeps the time of a device, to a few blocks of jitter and a clock's tenth of a percent.
    static constexpr double kPace = 0.9;
    // A burst is paced where the gap behind it is at least a quarter as long: live, half of a block at most is spent
    // inside. A host that renders is away that long only where the system takes its core away, which is a few bursts.
    static constexpr double kGapShare = 0.25, kPacedShare = 0.75;
    static constexpr int kFewBursts = 8;
    // Of a block's time. Where a block is longer than a hop, its hops come all at once, and even a punctual worker
    // needs its load's share of the block for them: 13 % on the machine of the README, thrice as much on a slow one.
    static constexpr double kBlockShare = 0.5;
    static constexpr int64_t kGapNs = 200000, kPauseNs = 100000000, kWindowNs = 1000000000;
    static constexpr int64_t kFirstWaitNs = 5000000000, kRenderingWaitNs = 30000000000;

    Pacing begun(int64_t nowNs, int64_t blockNs) const {
        Pacing fresh(sampleRate_);
        fresh.word_ = word_;
        fresh.hasBegun_ = true;
        fresh.longestNs_ = blockNs;
        fresh.older_ = fresh.newer_ = {nowNs, 0, 0};
        return fresh;
    }

    void closeBurst(int64_t gapNs) {
        if (static_cast<double>(gapNs) >= kGapShare * static_cast<double>(burstNs_))
            pacedNs_ += burstNs_;
        burstNs_ = 0;
        ++nBursts_;
    }

    void judge(int64_t nowNs) {
        const auto arrived = static_cast<double>(arrivedNs_ - older_.arrivedNs);
        const auto paced = static_cast<double>(pacedNs_ - older_.pacedNs);
        const bool looksLive = nBursts_ >= kFewBursts && paced >= kPacedShare * arrived &&
                               static_cast<double>(nowNs - older_.atNs) >= kPace * arrived;
        isLive_ = word_ == kLive || (word_ == kNone && looksLive);
    }

    double sampleRate_;
    Word word_ = kNone;
    bool hasBegun_ = false, isLive_ = false;
    int nBursts_ = 0;
    int64_t endedNs_ = 0, lastBlockNs_ = 0, longestNs_ = 0, arrivedNs_ = 0, burstNs_ = 0, pacedNs_ = 0, deadlineNs_ = 0;
    Mark older_, newer_;
};

}  // namespace apollo
