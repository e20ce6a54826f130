"""The live step as plain files, and in other runtimes."""
