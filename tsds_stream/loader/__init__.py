"""Training from a selection: reading revisions, and serving their documents in a reproducible order."""
