"""Plugin bundles make one model file a plugin of any host, in C++: VST3, CLAP, LV2 and LADSPA.

What runs in them is the stream of `apollo_rt.stream` once more, held to it by the tests; parameters and shared
constants are generated from the Python ones. No foreign source is committed: frameworks and libraries are installed.
"""
