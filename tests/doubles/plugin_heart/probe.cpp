// Plays noise through restorers as hosts do, live and rendering, and counts what the host's thread allocates meanwhile:
//
//   probe MODEL LIBRARY          prints `allocations=N control=N finite=0|1`
//
// Built with a sanitizer (-DWITHOUT_HOOK, since that has a malloc of its own) it is what the sanitizer watches.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "processor.hpp"
#include "restorer.hpp"

namespace {
thread_local bool isCounting = false;
thread_local int nAllocations = 0;
}  // namespace

#ifndef WITHOUT_HOOK
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void __libc_free(void*);

void* malloc(size_t size) {
    nAllocations += isCounting;
    return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
    nAllocations += isCounting;
    return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
    nAllocations += isCounting;
    return __libc_realloc(memory, size);
}
void free(void* memory) {
    nAllocations += isCounting && memory;
    __libc_free(memory);
}
}
#endif

using namespace apollo;

namespace {

std::unique_ptr<Restorer> restorerAt(double rate, char** words) {
    const auto model = Model::at(words[1], words[2]);
    auto restorer = std::make_unique<Restorer>(model->card().framing, rate);
    restorer->equip(std::make_unique<Processor>(model));
    restorer->start();
    return restorer;
}

// Blocks of changing size, with the parameters moving; `paces` as a live host does, else at once.
bool play(Restorer& restorer, double rate, int nBlocks, bool paces) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> sample(-0.3f, 0.3f);
    std::vector<float> left(4608), right(4608);
    bool isFinite = true;
    for (int block = 0; block < nBlocks; ++block) {
        const int sizes[] = {480, 128, 1, 777, paces ? 256 : 4608};
        const int count = sizes[block % 5];
        for (int n = 0; n < count; ++n)
            left[n] = sample(random), right[n] = n % 97 ? sample(random) : NAN;
        float* const channels[] = {left.data(), right.data()};
        restorer.set(block % N_PARAMETERS, PARAMETERS[block % N_PARAMETERS].maximum * (block % 3) / 2);
        if (paces)
            std::this_thread::sleep_for(std::chrono::microseconds(static_cast<int>(count * 1e6 / rate)));
        isCounting = true;
        if (block == nBlocks / 2)
            restorer.reset();
        restorer.process(channels, channels, 2, count);
        isCounting = false;
        for (int n = 0; n < count; ++n)
            isFinite = isFinite && std::isfinite(left[n]) && std::isfinite(right[n]);
    }
    return isFinite;
}

}  // namespace

int main(int, char** words) {
    bool isFinite = true;
    for (const double rate : {44100.0, 48000.0, 192000.0})
        for (const bool paces : {false, true}) {
            const auto restorer = restorerAt(rate, words), other = restorerAt(rate, words);
            std::thread beside([&] { play(*other, rate, 60, false); });
            isFinite = play(*restorer, rate, 120, paces) && isFinite;
            beside.join();
            restorer->stop();
            restorer->start();
            isFinite = play(*restorer, rate, 10, paces) && isFinite;
        }
    const int found = nAllocations;
    isCounting = true;
    delete new std::vector<float>(found + 1000);
    isCounting = false;
    std::printf("allocations=%d control=%d finite=%d\n", found, nAllocations - found, isFinite);
}
