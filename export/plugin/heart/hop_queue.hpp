// A queue of hops from one thread to one other: a ring of slots that are made once, without locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "shaping.hpp"

namespace apollo {

struct Hop {
    int64_t number = 0;          // counted from the instance's begin, over all streams
    bool isFirst = false;        // of a stream
    ShapingTargets wanted;       // what the user wanted when it was full
    std::vector<float> samples;  // interleaved
};

class HopQueue {
  public:
    HopQueue(int nSlots, int hopLength) : slots_(nSlots) {
        for (Hop& slot : slots_)
            slot.samples.resize(2 * hopLength);
    }

    // For the writer: the slot to fill next, null while all are full; `publish` hands it over.
    Hop* free() {
        const uint64_t written = written_.load(std::memory_order_relaxed);
        const bool isFull = written - read_.load(std::memory_order_acquire) == slots_.size();
        return isFull ? nullptr : &slots_[written % slots_.size()];
    }
    void publish() { written_.store(written_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

    // For the reader: the oldest hop, null where there is none; `pop` gives its slot back.
    const Hop* front() const {
        const uint64_t read = read_.load(std::memory_order_relaxed);
        return read == written_.load(std::memory_order_acquire) ? nullptr : &slots_[read % slots_.size()];
    }
    void pop() { read_.store(read_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  private:
    std::vector<Hop> slots_;
    std::atomic<uint64_t> written_{0}, read_{0};
};

}  // namespace apollo
