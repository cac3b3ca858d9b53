"""The numerical core: arrays in, arrays out; no files, clocks, threads or brokers."""
