// How a stream of samples is cut into overlapping frames; as apollo_rt/config.py.
#pragma once

namespace apollo {

struct Framing {
    int sampleRate = 0;
    int hopLength = 0;
    int analysisLength = 0;
    int lookaheadFrames = 0;

    int nBins() const { return analysisLength / 2 + 1; }
    int synthesisLength() const { return 2 * hopLength; }
    int algorithmicLatency() const { return synthesisLength() + lookaheadFrames * hopLength; }
    // Of a processor fed with whole hops: its output hop k holds the input hop k - 1 - lookahead.
    int hopDelay() const { return algorithmicLatency() - hopLength; }

    bool operator==(const Framing& other) const {
        return sampleRate == other.sampleRate && hopLength == other.hopLength &&
               analysisLength == other.analysisLength && lookaheadFrames == other.lookaheadFrames;
    }
};

}  // namespace apollo
