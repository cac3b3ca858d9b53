"""The auditor: what a stream has published, compared with what follows from its documents alone."""
