"""What serving a selection costs beside loaders that promise less."""
