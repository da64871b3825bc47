"""One file per command of `sfx`; `toolchain/cli.py` registers them."""
