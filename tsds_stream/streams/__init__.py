"""Sources of documents and sinks of revisions."""
