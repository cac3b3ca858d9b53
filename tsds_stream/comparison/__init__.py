"""Methods of selection side by side: the same documents, targets and budget, and what their selections are worth."""
