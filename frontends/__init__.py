"""Part of `sfx`: import it as `sfx.frontends`."""

if __name__ != "sfx.frontends":
    # A second copy of every class under another name would break isinstance silently.
    raise ImportError("import sfx.frontends, not frontends")
