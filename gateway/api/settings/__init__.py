"""The configuration's blocks as frozen models, one module a block; nothing here reads files or YAML."""
