"""Does it select better data, when, and by how much: one command for all tables, on real text, code and images."""
