#include "state_list.hpp"

#include <cctype>
#include <stdexcept>

namespace apollo {
namespace {

class Reader {
  public:
    explicit Reader(const std::string& text) : text_(text) {}

    bool skips(char wanted) {
        while (place_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[place_])))
            ++place_;
        if (place_ == text_.size() || text_[place_] != wanted)
            return false;
        ++place_;
        return true;
    }

    void expect(char wanted) {
        if (!skips(wanted))
            throw std::runtime_error("the model's states: expected '" + std::string(1, wanted) + "' at character " +
                                     std::to_string(place_));
    }

    std::string word() {
        expect('"');
        const size_t end = text_.find('"', place_);
        const std::string found = text_.substr(place_, end - place_);
        if (end == std::string::npos || found.find('\\') != std::string::npos)
            throw std::runtime_error("the model's states: a name has escapes or no end");
        place_ = end + 1;
        return found;
    }

    int64_t number() {
        int64_t value = 0;
        const size_t begin = place_;
        for (; place_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[place_])); ++place_)
            value = value * 10 + (text_[place_] - '0');
        if (place_ == begin || place_ - begin > 9)
            throw std::runtime_error("the model's states: expected a size at character " + std::to_string(begin));
        return value;
    }

    // Calls `item` for each element between two brackets.
    template <typename Item>
    void list(char open, char close, Item item) {
        expect(open);
        if (skips(close))
            return;
        do
            item();
        while (skips(','));
        expect(close);
    }

    void skipSpace() { skips('\0'); }

  private:
    const std::string& text_;
    size_t place_ = 0;
};

}  // namespace

std::vector<State> parseStates(const std::string& json) {
    Reader reader(json);
    std::vector<State> states;
    reader.list('[', ']', [&] {
        State state;
        reader.list('{', '}', [&] {
            const std::string key = reader.word();
            reader.expect(':');
            if (key == "shape")
                reader.list('[', ']', [&] { reader.skipSpace(), state.shape.push_back(reader.number()); });
            else
                (key == "input" ? state.input : state.output) = reader.word();
        });
        states.push_back(std::move(state));
    });
    return states;
}

}  // namespace apollo
