// What is no audio (not finite, or beyond +120 dB of full scale) becomes silence; as apollo_rt/stream/sample_guard.py.
// Compiled with -ffast-math this comparison would let NaN pass: the build says -fno-fast-math, and a test listens.
#pragma once

#include <cmath>

#include "parameters.hpp"

namespace apollo {

inline bool isAudio(float sample) { return std::fabs(sample) <= LOUDEST_SAMPLE; }

}  // namespace apollo
