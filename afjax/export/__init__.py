"""Export of the live step as plain files and to other runtimes."""
