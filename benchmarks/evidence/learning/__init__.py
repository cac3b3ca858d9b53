"""Learners of the training tables beside the n-gram model: a small transformer, and features of words."""
