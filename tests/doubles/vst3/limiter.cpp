// A limiter with lookahead as a real VST3, made with DPF (Debian: dpf-source), and with faults to order: the tests' plugin.
#include "DistrhoPlugin.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <unistd.h>
#include <vector>

START_NAMESPACE_DISTRHO

enum { THRESHOLD, RELEASE, FAULT, N_PARAMETERS };
enum { NONE, CRASHES, HANGS, NO_NUMBERS, IS_SLOW };
static const int LOOKAHEAD = 220; // samples, 5 ms at 44.1 kHz

class TestLimiter : public Plugin
{
public:
    TestLimiter() : Plugin(N_PARAMETERS, 0, 0)
    {
        setLatency(LOOKAHEAD);
        activate();
    }

protected:
    const char* getLabel() const override { return "TestLimiter"; }
    const char* getMaker() const override { return "Apollo RT"; }
    const char* getLicense() const override { return "MIT"; }
    uint32_t getVersion() const override { return d_version(1, 0, 0); }
    int64_t getUniqueId() const override { return d_cconst('a', 'R', 'T', 'l'); }

    void initParameter(uint32_t index, Parameter& parameter) override
    {
        static const char* const names[] = {"Threshold", "Release", "Fault"};
        static const char* const units[] = {"dB", "ms", ""};
        static const ParameterRanges ranges[] = {{0.f, -60.f, 0.f}, {50.f, 1.f, 1000.f}, {0.f, 0.f, 4.f}};
        parameter.hints = kParameterIsAutomatable | (index == FAULT ? kParameterIsInteger : 0);
        parameter.name = names[index];
        parameter.unit = units[index];
        parameter.ranges = ranges[index];
    }

    float getParameterValue(uint32_t index) const override { return values[index]; }
    void setParameterValue(uint32_t index, float value) override { values[index] = value; }

    void activate() override
    {
        for (auto& line : lines) line.assign(LOOKAHEAD, 0.f);
        place = 0;
        gain = wanted = 1.f;
    }

    void run(const float** inputs, float** outputs, uint32_t frames) override
    {
        const int fault = int(values[FAULT] + 0.5f);
        if (fault == CRASHES) raise(SIGSEGV);
        while (fault == HANGS) usleep(1000);
        if (fault == IS_SLOW) usleep(12000);
        const float limit = std::pow(10.f, values[THRESHOLD] / 20.f);
        const float rise = 1.f - std::exp(-1000.f / (float(getSampleRate()) * values[RELEASE]));
        for (uint32_t i = 0; i < frames; ++i) {
            const float peak = std::max(std::fabs(inputs[0][i]), std::fabs(inputs[1][i]));
            wanted = std::min(peak > limit ? limit / peak : 1.f, wanted + (1.f - wanted) * rise);
            gain += (wanted - gain) * (wanted < gain ? 1.f / 32.f : 1.f);
            for (int channel = 0; channel < 2; ++channel) {
                const float out = lines[channel][place] * gain;
                lines[channel][place] = inputs[channel][i]; // before the output, which may be the same memory
                outputs[channel][i] = fault == NO_NUMBERS ? NAN : out;
            }
            place = (place + 1) % LOOKAHEAD;
        }
    }

private:
    float values[N_PARAMETERS] = {0.f, 50.f, 0.f};
    std::vector<float> lines[2];
    int place;
    float gain, wanted;
    DISTRHO_DECLARE_NON_COPYABLE_WITH_LEAK_DETECTOR(TestLimiter)
};

Plugin* createPlugin() { return new TestLimiter(); }

END_NAMESPACE_DISTRHO
