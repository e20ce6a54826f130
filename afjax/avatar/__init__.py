"""A model ready to use: `afjax.avatar.avatar.Avatar`, and what makes one."""
