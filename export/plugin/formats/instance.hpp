// An instance of the plugin, as every format wraps it: it finds model and library beside the plugin's own file, loads
// them when it is activated for the first time, and lets the input pass, equally late, where that fails.
#pragma once

#include "restorer.hpp"

namespace apollo {

// Folder of model and library, seen from the plugin's own file; each format says its own.
extern const char* const kResources;

class Instance {
  public:
    // Nothing is loaded here: hosts make instances of all that they find when they scan.
    explicit Instance(double sampleRate);

    void activate();    // loads, begins a fresh stream and its thread
    void deactivate();  // ends the thread

    Restorer& restorer() { return restorer_; }
    const Restorer& restorer() const { return restorer_; }

  private:
    Restorer restorer_;
};

}  // namespace apollo
