"""The process that answers HTTP for a run: it knows the newest status document, and cannot slow the stream."""
