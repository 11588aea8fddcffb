// Reads the `states` of a model's card: a JSON list of {"input": name, "output": name, "shape": [sizes]}.
#pragma once

#include <string>
#include <vector>

#include "model.hpp"

namespace apollo {

// Throws std::runtime_error where the text is anything else; names with escapes are refused.
std::vector<State> parseStates(const std::string& json);

}  // namespace apollo
