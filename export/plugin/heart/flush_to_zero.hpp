// Denormals count as zero while one of these lives; the thread's own setting comes back afterwards.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace apollo {

class FlushToZero {
  public:
    explicit FlushToZero(bool on = true) : before_(read()) { write(on ? before_ | kBits : before_ & ~kBits); }
    ~FlushToZero() { write(before_); }
    FlushToZero(const FlushToZero&) = delete;
    FlushToZero& operator=(const FlushToZero&) = delete;

  private:
#if defined(__SSE2__)
    static constexpr uint64_t kBits = 0x8040;  // flush-to-zero for results, denormals-are-zero for operands
    static uint64_t read() { return _mm_getcsr(); }
    static void write(uint64_t value) { _mm_setcsr(static_cast<unsigned>(value)); }
#elif defined(__aarch64__)
    static constexpr uint64_t kBits = 1u << 24;
    static uint64_t read() {
        uint64_t value;
        asm volatile("mrs %0, fpcr" : "=r"(value));
        return value;
    }
    static void write(uint64_t value) { asm volatile("msr fpcr, %0" ::"r"(value)); }
#else
    static constexpr uint64_t kBits = 0;
    static uint64_t read() { return 0; }
    static void write(uint64_t) {}
#endif
    uint64_t before_;
};

}  // namespace apollo
