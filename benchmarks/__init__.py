"""Speed, compared with a peer in the same run: see docs/benchmarks.md."""
