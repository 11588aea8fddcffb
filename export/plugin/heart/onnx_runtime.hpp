// ONNX Runtime's C library, opened by path and never linked; as apollo_rt/inference/onnx_c_api.py.
//
// Linked, whatever libonnxruntime.so.1 a process opened first would be taken in place of ours, and one of another
// release would not load at all. `OrtGetApiBase` leads to a table of functions that only ever grows, so that a
// function's index never changes (onnxruntime_c_api.h).
#pragma once

#include <cstdint>
#include <string>

namespace apollo {

class OnnxRuntime {
  public:
    // Indices in the table; all of API version 24 and long before.
    enum Function {
        kGetErrorMessage = 2,
        kCreateEnv = 3,
        kCreateSession = 7,
        kRun = 9,
        kCreateSessionOptions = 10,
        kSetSessionExecutionMode = 13,
        kSetSessionGraphOptimizationLevel = 23,
        kSetIntraOpNumThreads = 24,
        kSetInterOpNumThreads = 25,
        kCreateTensorWithDataAsOrtValue = 49,
        kCreateCpuMemoryInfo = 69,
        kAllocatorFree = 76,
        kGetAllocatorWithDefaultOptions = 78,
        kReleaseStatus = 93,
        kReleaseMemoryInfo = 94,
        kReleaseValue = 96,
        kReleaseSessionOptions = 100,
        kSessionGetModelMetadata = 111,
        kModelMetadataLookupCustomMetadataMap = 116,
        kReleaseModelMetadata = 118,
        kAddSessionConfigEntry = 130,
    };

    // The library at `path`, opened once a process and never closed. Throws std::runtime_error.
    static const OnnxRuntime& at(const std::string& path);

    void* environment() const { return environment_; }
    const std::string& version() const { return version_; }

    // Call a function that returns a status. Throws std::runtime_error with the library's own message.
    template <typename... Arguments>
    void call(Function function, Arguments... arguments) const {
        check(reinterpret_cast<void* (*)(Arguments...)>(table_[function])(arguments...));
    }

    // Call a function whose last argument is where it puts what it made.
    template <typename... Arguments>
    void* create(Function function, Arguments... arguments) const {
        void* result = nullptr;
        call(function, arguments..., &result);
        return result;
    }

    void release(Function function, void* object) const { reinterpret_cast<void (*)(void*)>(table_[function])(object); }

    // As `call`, for the audio path: true when all is well, and a status is given back at once.
    template <typename... Arguments>
    bool tried(Function function, Arguments... arguments) const {
        void* status = reinterpret_cast<void* (*)(Arguments...)>(table_[function])(arguments...);
        if (status)
            release(kReleaseStatus, status);
        return !status;
    }

  private:
    explicit OnnxRuntime(const std::string& path);
    void check(void* status) const;

    void* const* table_ = nullptr;
    void* environment_ = nullptr;
    std::string version_;
};

}  // namespace apollo
