"""The commands of `tsds-stream`, one file each; a module is imported when its command is named."""
