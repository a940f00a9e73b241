"""The benchmark, apart from the tests: our door and recorder beside a floor (docs/reference/benchmarks.md)."""
