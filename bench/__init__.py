"""`make bench`: Tidemill beside what a team would otherwise run, in one run on one machine (docs/benchmarks.md)."""
