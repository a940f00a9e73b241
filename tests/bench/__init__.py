"""The benchmark, apart from the tests: what the door and the recorder cost beside a floor (docs/reference/benchmarks.md)."""
