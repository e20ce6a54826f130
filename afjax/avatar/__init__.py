"""Models ready to use: `afjax.avatar.avatar.Avatar`, and the modules that load one."""
