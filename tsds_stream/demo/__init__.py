"""The demonstration: real text that every Python installation has, streamed through the real engine."""
