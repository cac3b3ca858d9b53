"""Pools and streams too large for the trials of the other tables, and brute force to check them by."""
