"""A training run from a selection that goes on growing, as one would write it, and the story that proves it exact."""
