// Worker: a thread that turns hops into hops, beside the host's. As apollo_rt/live/realtime/worker.py, it sleeps in
// short timed waits, so that handing it a hop costs the host's thread no system call; late, it works off what has piled
// up, and starts afresh where hops were left out.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "flush_to_zero.hpp"
#include "framing.hpp"
#include "hop_queue.hpp"
#include "processor.hpp"

namespace apollo {

inline int64_t nowNs() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

class Worker {
  public:
    Worker(std::unique_ptr<HopProcessor> processor, const Framing& framing)
        : processor_(std::move(processor)), hopDelayHops_(framing.hopDelay() / framing.hopLength),
          pollNs_(static_cast<int64_t>(1e9 * framing.hopLength / framing.sampleRate / kPollsPerHop)),
          inbox_(MAX_HOPS_BEHIND, framing.hopLength), outbox_(2 * MAX_HOPS_BEHIND, framing.hopLength) {}
    ~Worker() { stop(); }

    // --- outside the audio path ---

    void start() {
        if (thread_.joinable())
            return;
        isStopping_ = false;
        thread_ = std::thread([this] { work(); });
    }

    void stop() {
        if (!thread_.joinable())
            return;
        isStopping_ = true;
        wake();
        thread_.join();
    }

    // --- in the host's thread: no allocation, no lock, no system call, but those of `wait` ---

    // The slot for the next hop of input; null while the worker is too far behind: then the hop is left out.
    Hop* free() { return inbox_.free(); }
    void publish() { inbox_.publish(); }

    // The hop of that number if it is there; what is older has come too late and is dropped. `isLost` says that it
    // will never come.
    const Hop* result(int64_t number, bool& isLost) {
        const Hop* hop = outbox_.front();
        while (hop && hop->number < number) {
            outbox_.pop();
            hop = outbox_.front();
        }
        isLost = hop && hop->number > number;
        return isLost ? nullptr : hop;
    }
    void pop() { outbox_.pop(); }

    // As `result`, waiting until a moment of the steady clock.
    const Hop* waited(int64_t number, int64_t untilNs, bool& isLost) {
        const Hop* hop = result(number, isLost);
        if (hop || isLost || nowNs() >= untilNs)
            return hop;
        std::unique_lock<std::mutex> lock(mutex_);
        isWaitedFor_ = true;
        changed_.notify_all();
        while (!(hop = result(number, isLost)) && !isLost && nowNs() < untilNs)
            sleep(lock, std::min(untilNs - nowNs(), kLongestSliceNs));
        isWaitedFor_ = false;
        return hop;
    }

  private:
    static constexpr int kPollsPerHop = 6;
    static constexpr int64_t kLongestSliceNs = 20000000, kIdleAfterPolls = 1000;

    void work() {
        const FlushToZero flushed;
        int64_t expected = 0, unfit = 0, nIdle = 0;
        while (!isStopping_) {
            const Hop* in = inbox_.front();
            if (!in) {
                ++nIdle;
                rest(nIdle > kIdleAfterPolls ? kLongestSliceNs : pollNs_);
                continue;
            }
            nIdle = 0;
            if (in->isFirst || in->number != expected) {
                processor_->reset();
                unfit = in->isFirst ? 0 : hopDelayHops_;  // where some are missing, these are of the time before
            }
            expected = in->number + 1;
            if (Hop* out = outbox_.free()) {
                processor_->process(in->samples.data(), in->wanted, out->samples.data());
                out->number = in->number;
                if (unfit > 0)
                    --unfit;
                else
                    outbox_.publish();
            }
            inbox_.pop();
            if (isWaitedFor_)
                wake();
        }
    }

    // Sleep for a moment, unless somebody wakes.
    void rest(int64_t ns) {
        std::unique_lock<std::mutex> lock(mutex_);
        if (!isStopping_ && !inbox_.front())
            sleep(lock, ns);
    }

    // By the system's clock: the other one has a call that GCC 12's thread sanitizer does not know.
    void sleep(std::unique_lock<std::mutex>& lock, int64_t ns) {
        changed_.wait_until(lock, std::chrono::system_clock::now() + std::chrono::nanoseconds(ns));
    }

    void wake() {
        const std::lock_guard<std::mutex> lock(mutex_);
        changed_.notify_all();
    }

    std::unique_ptr<HopProcessor> processor_;
    int64_t hopDelayHops_, pollNs_;
    HopQueue inbox_, outbox_;
    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::atomic<bool> isStopping_{false}, isWaitedFor_{false};
};

}  // namespace apollo
