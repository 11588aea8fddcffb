"""Benchmarks: latency, tails, throughput, quality."""
