"""Part of `sfx`: import it as `sfx.backends`."""

if __name__ != "sfx.backends":
    # A second copy of every class under another name would break isinstance silently.
    raise ImportError("import sfx.backends, not backends")
