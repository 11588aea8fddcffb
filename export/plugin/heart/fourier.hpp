// Real samples to bins and back, by KISS FFT; as r2c and c2r of apollo_rt/stream/stft.py, without normalisation.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <kissfft/kissfft.hh>
#include <vector>

namespace apollo {

using Bin = std::complex<float>;

class Fourier {
  public:
    // `length` is even. All memory is made here.
    explicit Fourier(int length)
        : half_(length / 2), forward_(half_, false), inverse_(half_, true), real_(length), packed_(half_ + 1),
          turned_(half_) {
        for (int k = 0; k < half_; ++k)
            turned_[k] = std::polar(1.0, 2 * M_PI * k / length);
    }

    // `length` samples into length / 2 + 1 bins.
    void toBins(const float* samples, Bin* bins) {
        std::copy_n(samples, 2 * half_, real_.begin());
        forward_.transform_real(real_.data(), packed_.data());
        packed_[half_] = packed_[0].imag();  // the real bins at both ends come packed into the first
        packed_[0] = packed_[0].real();
        for (int k = 0; k <= half_; ++k)
            bins[k] = Bin(packed_[k]);
    }

    // length / 2 + 1 bins into `length` samples, `length` times as loud; imaginary parts at both ends don't count.
    void toSamples(const Bin* bins, float* samples) {
        // Even and odd samples are the real and imaginary part of one complex sequence of half the length:
        // Sorensen, Jones, Heideman & Burrus, "Real-valued fast Fourier transform algorithms", IEEE TASSP 1987.
        for (int k = 0; k < half_; ++k) {
            const Exact low = k == 0 ? Exact(bins[0].real()) : Exact(bins[k]);
            const Exact high = k == 0 ? Exact(bins[half_].real()) : std::conj(Exact(bins[half_ - k]));
            const Exact difference = (low - high) * turned_[k];
            packed_[k] = low + high + Exact(-difference.imag(), difference.real());
        }
        inverse_.transform(packed_.data(), reinterpret_cast<Exact*>(real_.data()));
        std::copy(real_.begin(), real_.end(), samples);
    }

  private:
    // In double precision: KISS FFT's float twiddles are coarse enough that the net, which hears how quiet a band is,
    // answers -70 dB beside the golden pair in place of -110.
    using Exact = std::complex<double>;

    int half_;
    kissfft<double> forward_, inverse_;
    std::vector<double> real_;
    std::vector<Exact> packed_, turned_;
};

}  // namespace apollo
