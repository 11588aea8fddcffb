// VST3 and CLAP, by DPF: its plugin class around an instance of ours. What DPF does not hand on (whether the host
// renders, CLAP's reset) comes through the two functions at the end, which export/plugin/framework.py has it call.
#include "DistrhoPlugin.hpp"

#include <cmath>
#include <memory>

#include "instance.hpp"
#include "presets.hpp"

const char* const apollo::kResources = APOLLO_RESOURCES;

START_NAMESPACE_DISTRHO

using apollo::PARAMETERS;

class ApolloPlugin : public Plugin {
  public:
    ApolloPlugin() : Plugin(apollo::N_PARAMETERS, DISTRHO_PLUGIN_WANT_PROGRAMS ? N_PRESETS : 0, 0) {
        sampleRateChanged(getSampleRate());
    }

    void tell(bool isRendering) {
        isRendering_ = isRendering;
        instance_->restorer().tell(isRendering ? apollo::Pacing::kRendering : apollo::Pacing::kNone);
    }
    void reset() { instance_->restorer().reset(); }

  protected:
    const char* getLabel() const override { return apollo::facts::SYMBOL; }
    const char* getDescription() const override { return "Restores music that a lossy codec damaged."; }
    const char* getMaker() const override { return "Apollo RT"; }
    const char* getLicense() const override { return apollo::facts::LICENCE; }
    uint32_t getVersion() const override {
        return d_version(apollo::facts::VERSION[0], apollo::facts::VERSION[1], apollo::facts::VERSION[2]);
    }
    int64_t getUniqueId() const override { return apollo::facts::LADSPA_ID * 4 + N_CHANNELS; }

    void initParameter(uint32_t index, Parameter& parameter) override {
        const apollo::ParameterRow& row = PARAMETERS[index];
        parameter.hints = kParameterIsAutomatable | (row.isSwitch ? kParameterIsBoolean : 0) |
                          (row.isLogarithmic ? kParameterIsLogarithmic : 0);
        if (index == apollo::BYPASS)
            parameter.initDesignation(kParameterDesignationBypass);
        parameter.name = row.title;
        parameter.symbol = row.name;
        parameter.unit = row.unit;
        parameter.description = row.description;
        parameter.ranges = ParameterRanges(static_cast<float>(row.fallback), static_cast<float>(row.minimum),
                                           static_cast<float>(row.maximum));
    }

    float getParameterValue(uint32_t index) const override {
        return static_cast<float>(instance_->restorer().get(static_cast<int>(index)));
    }
    // Hosts hold values as shares of the range, in which most defaults come back with their last bits changed: what is
    // as near to the default as that is the default, at which nothing is touched.
    void setParameterValue(uint32_t index, float value) override {
        const apollo::ParameterRow& row = PARAMETERS[index];
        const bool isDefault = std::fabs(value - row.fallback) < 1e-6 * (row.maximum - row.minimum);
        instance_->restorer().set(static_cast<int>(index), isDefault ? row.fallback : value);
    }

#if DISTRHO_PLUGIN_WANT_PROGRAMS
    void initProgramName(uint32_t index, String& name) override { name = apollo::PRESETS[index].name; }
    void loadProgram(uint32_t index) override {
        for (int parameter = 0; parameter < apollo::N_PARAMETERS; ++parameter)
            if (!PARAMETERS[parameter].isSwitch)
                instance_->restorer().set(parameter, apollo::PRESETS[index].values[parameter]);
    }
#endif
#if DISTRHO_PLUGIN_WANT_STATE
    void initState(uint32_t, State&) override {}
    void setState(const char*, const char*) override {}
#endif

    void activate() override { instance_->activate(); }
    void deactivate() override { instance_->deactivate(); }

    void run(const float** inputs, float** outputs, uint32_t count) override {
        instance_->restorer().process(inputs, outputs, N_CHANNELS, static_cast<int>(count));
    }

    // Called while it isn't active.
    void sampleRateChanged(double sampleRate) override {
        auto fresh = std::make_unique<apollo::Instance>(sampleRate);
        if (instance_)
            for (int index = 0; index < apollo::N_PARAMETERS; ++index)
                fresh->restorer().set(index, instance_->restorer().get(index));
        instance_ = std::move(fresh);
        tell(isRendering_);
        setLatency(static_cast<uint32_t>(instance_->restorer().latency()));
    }

  private:
    std::unique_ptr<apollo::Instance> instance_;
    bool isRendering_ = false;
};

Plugin* createPlugin() { return new ApolloPlugin; }

// `plugin` is DPF's pointer to its own class.
void apolloTell(void* plugin, bool isRendering) {
    static_cast<ApolloPlugin*>(static_cast<Plugin*>(plugin))->tell(isRendering);
}
void apolloReset(void* plugin) { static_cast<ApolloPlugin*>(static_cast<Plugin*>(plugin))->reset(); }

END_NAMESPACE_DISTRHO
