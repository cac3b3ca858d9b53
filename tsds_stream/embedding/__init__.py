"""Embedders: texts in, vectors out, behind one protocol."""
