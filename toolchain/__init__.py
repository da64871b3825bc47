"""Part of `sfx`: import it as `sfx.toolchain`."""

if __name__ != "sfx.toolchain":
    # A second copy of every class under another name would break isinstance silently.
    raise ImportError("import sfx.toolchain, not toolchain")
