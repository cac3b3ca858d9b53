"""What the table of streams is made of: orders of arrival, and selections that follow a stream."""
