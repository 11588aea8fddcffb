// What DPF wants to know at compile time; the build says N_CHANNELS, N_PRESETS and the target.
#pragma once

#include "facts.hpp"

#if N_CHANNELS == 1
#define DISTRHO_PLUGIN_NAME APOLLO_NAME " Mono"
#define DISTRHO_PLUGIN_URI APOLLO_URI ":mono"
#define DISTRHO_PLUGIN_CLAP_ID APOLLO_CLAP_ID ".mono"
#define DISTRHO_PLUGIN_CLAP_FEATURES "audio-effect", "restoration", "mono"
#define DISTRHO_PLUGIN_VST3_CATEGORIES "Fx|Restoration|Mono"
#else
#define DISTRHO_PLUGIN_NAME APOLLO_NAME
#define DISTRHO_PLUGIN_URI APOLLO_URI
#define DISTRHO_PLUGIN_CLAP_ID APOLLO_CLAP_ID
#define DISTRHO_PLUGIN_CLAP_FEATURES "audio-effect", "restoration", "stereo"
#define DISTRHO_PLUGIN_VST3_CATEGORIES "Fx|Restoration|Stereo"
#endif

#define DISTRHO_PLUGIN_BRAND "Apollo RT"
#define DISTRHO_PLUGIN_HAS_UI 0
#define DISTRHO_PLUGIN_IS_RT_SAFE 1
#define DISTRHO_PLUGIN_NUM_INPUTS N_CHANNELS
#define DISTRHO_PLUGIN_NUM_OUTPUTS N_CHANNELS
#define DISTRHO_PLUGIN_WANT_LATENCY 1

// CLAP saves no value without; VST3 saves them anyway, and programs and state together would want more of us.
#ifdef DISTRHO_PLUGIN_TARGET_CLAP
#define DISTRHO_PLUGIN_WANT_STATE 1
#elif N_PRESETS > 0
#define DISTRHO_PLUGIN_WANT_PROGRAMS 1
#endif
