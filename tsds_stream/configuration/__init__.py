"""From a settings tree to its options, layers, messages and reference page; knows no option by name."""
